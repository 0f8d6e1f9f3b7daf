# What survives: a dump without the owner's role, data alone into a database with other
# OIDs, a standby that only reads, a crash; and catalogs that pg_upgrade can carry.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('survival');
my $directory = PostgreSQL::Test::Utils::tempdir();

$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nmax_connections = 20");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION behavpred');

my $answers = q{
	SELECT md5(string_agg(float8send(behavpred.predict('likes_5', u)), '' ORDER BY u)) FROM generate_series(1, 200) u;
	SELECT md5(string_agg(float8send(behavpred.score(m.model, e.embedding)), '' ORDER BY user_id)) FROM behavpred.trained_model m, shop.shop_user_embedding e;
	SELECT md5(string_agg(a::text, ' ')) FROM behavpred.audience('likes_5', 50) a;
	SELECT md5(string_agg(r::text, ' ')) FROM behavpred.recommend('shop', 7) r;
	SELECT md5(string_agg(e::text, ' ')) FROM behavpred.evaluate('likes_5') e};

$node->safe_psql('postgres', q{
	CREATE ROLE keeper LOGIN;
	GRANT EXECUTE ON ALL ROUTINES IN SCHEMA behavpred TO keeper;
	CREATE SCHEMA shop AUTHORIZATION keeper;
	SET ROLE keeper;
	SET search_path = shop;
	CREATE TABLE events AS SELECT u AS user_id, o AS object_id FROM generate_series(1, 200) u, generate_series(1, 20) o WHERE (u * 7 + o * 11) % 5 < 2;
	SELECT behavpred.create_graph('shop', 'events');
	SELECT behavpred.create_target('likes_5', 'shop', object => '5');
	SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1);
	SELECT behavpred.train_target('likes_5', model => 'mlp')});
my $as_keeper = "SET ROLE keeper; $answers";
my $before = $node->safe_psql('postgres', $as_keeper);

# What pg_upgrade can carry: no column of an OID's alias, no unlogged table; and what a dump
# carries: every table and sequence.
{
	my $relations = q{FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'behavpred'};

	is($node->safe_psql('postgres', "SELECT c.relname, a.attname $relations JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
			WHERE c.relkind = 'r' AND a.atttypid::regtype::text ~ '^(reg|oid|xid\$|cid|tid)'"), '', 'no table has a column of OIDs');
	is($node->safe_psql('postgres', "SELECT c.relname $relations WHERE c.relpersistence <> 'p'"), '', 'no relation is unlogged');
	is($node->safe_psql('postgres', "SELECT c.relname $relations WHERE c.relkind IN ('r', 'S') AND c.oid <> ALL (e.extconfig)"),
		'', 'a dump carries every table and sequence');
	is($node->safe_psql('postgres', q{SELECT relpersistence FROM pg_class WHERE relname ~ '_embedding$'}), "p\np", 'embedding tables are logged');
}

# Restored by another server, where the role is missing: all the same once it is there.
{
	my $other = PostgreSQL::Test::Cluster->new('without_role');

	$other->init;
	$other->append_conf('postgresql.conf', 'fsync = off');
	$other->start;
	$node->command_ok([ 'pg_dump', '--format=custom', "--file=$directory/custom.dump", 'postgres' ], 'dumped');
	$other->safe_psql('postgres', 'CREATE TABLE shifts_oids (n int); CREATE DATABASE copy; CREATE DATABASE data_only');
	$other->command_ok([ 'pg_restore', '--exit-on-error', '--no-owner', '--no-privileges', '--dbname=copy', "$directory/custom.dump" ],
		'restored without the role');
	is($other->safe_psql('copy', q{SELECT name, ok FROM behavpred.health WHERE name = 'missing owners'}), 'missing owners|f', 'health tells of the missing owner');
	is($other->safe_psql('copy', $answers =~ s/SELECT md5\(string_agg\(a::text.*?;//sr =~ s/SELECT md5\(string_agg\(r::text.*?;//sr =~ s/SELECT md5\(string_agg\(e::text.*//sr),
		join("\n", (split /\n/, $before)[ 0, 1 ]), 'a superuser predicts at once, equal to the bit');
	is($other->safe_psql('copy', q{CREATE ROLE heir SUPERUSER; SELECT behavpred.reassign_owner('keeper', 'heir') > 5}), 't', 'a new owner takes over');
	is($other->safe_psql('copy', "SET ROLE heir; $answers"), $before, 'for whom every answer is the same');
	is($other->safe_psql('copy', q{SET ROLE heir; SELECT version FROM behavpred.train_target('likes_5')}), '2', 'who trains on');

	# the extension's data alone, into a database where its objects have other OIDs
	$node->command_ok([ 'pg_dump', '--data-only', '--schema=behavpred', '--extension=behavpred', "--file=$directory/data.sql", 'postgres' ], 'data dumped');
	$node->command_ok([ 'pg_dump', '--schema=shop', '--no-owner', '--no-privileges', "--file=$directory/shop.sql", 'postgres' ], 'sources dumped');
	$other->safe_psql('data_only', 'CREATE TYPE takes_an_oid AS (n int); CREATE EXTENSION behavpred; CREATE ROLE keeper SUPERUSER');
	$other->command_ok([ 'psql', '-q', '-X', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/$_.sql", 'data_only' ], "$_ restored") foreach 'shop', 'data';
	isnt($other->safe_psql('data_only', q{SELECT 'behavpred.model'::regtype::oid}), $node->safe_psql('postgres', q{SELECT 'behavpred.model'::regtype::oid}),
		'the type has another OID');
	is($other->safe_psql('data_only', $as_keeper), $before, 'every answer is the same');
	$other->stop;
}

# A standby answers all that reads, and refuses what writes with a way out.
{
	$node->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	$node->wait_for_catchup($standby);

	is($standby->safe_psql('postgres', $as_keeper), $before, 'every answer of the standby is the same');
	is($standby->safe_psql('postgres', q{SELECT count(*) FROM behavpred.health}), $node->safe_psql('postgres', q{SELECT count(*) FROM behavpred.health}), 'health');
	is($standby->safe_psql('postgres', q{SELECT count(*) FROM behavpred.storage, behavpred.graphs, behavpred.targets, behavpred.models, behavpred.runs LIMIT 1}) > 0, 1, 'views');
	is($standby->safe_psql('postgres', q{SELECT behavpred.export_model('likes_5') = '\x'}), 'f', 'a model is exported');
	foreach my $statement (
		q{SELECT behavpred.train_target('likes_5')},
		q{SELECT behavpred.train_graph('shop')},
		q{SELECT behavpred.train_targets('shop')},
		q{CALL behavpred.run_graph('shop')},
		q{SELECT behavpred.deploy('likes_5', 1)},
		q{SELECT behavpred.import_model('likes_5', behavpred.export_model('likes_5'))})
	{
		my (undef, undef, $error) = $standby->psql('postgres', "\\set VERBOSITY verbose\nSET ROLE keeper; $statement");

		like($error, qr/ERROR:  25006/, "$statement is refused");
		like($error, qr/HINT:  This server is a standby: run it on the primary/, 'with a hint');
	}
	foreach my $statement (
		q{SELECT behavpred.grant_on('target', 'likes_5', 'read', 'public')},
		q{SELECT behavpred.forget_user('shop', 7)},
		q{SELECT behavpred.drop_target('likes_5')},
		q{SELECT behavpred.create_target('next', 'shop', object => '6')})
	{
		my (undef, undef, $error) = $standby->psql('postgres', "\\set VERBOSITY verbose\nSET ROLE keeper; $statement");

		like($error, qr/ERROR:  25006/, "$statement is refused");
	}
	$standby->stop;
}

# A crash in the middle of a training leaves what was there before it.
{
	my $session = open_session($node);

	$session->query(q{SET ROLE keeper; SET search_path = shop; BEGIN});
	$session->query(q{SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1, seed => 5)});
	$session->query(q{SELECT behavpred.train_target('likes_5')});
	$node->stop('immediate');
	$node->start;
	is($node->safe_psql('postgres', $as_keeper), $before, 'after a crash every answer is that of before');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM behavpred.runs}), '2', 'no run is left of the training that was lost');
	is($node->safe_psql('postgres', q{SET ROLE keeper; SELECT version FROM behavpred.train_target('likes_5')}), '2', 'training goes on');
	eval { $session->quit };
}

done_testing();
