# Who may do what: every role against every verb, in one table; what grants need beside
# themselves; memberships; roles that go.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('privileges');

# Run statements as a role; output and error.
sub as_role
{
	my ($role, $sql) = @_;
	my (undef, $output, $error) = $node->psql('postgres', "SET ROLE $role; SET client_min_messages = error; $sql");

	return wantarray ? ($output, $error) : $output;
}

# attempt(): rows of a statement, or the SQLSTATE that it fails with; nothing of it stays.
$node->safe_psql('postgres', q{
	CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	  rows bigint;
	BEGIN
	  BEGIN
	    EXECUTE statement;
	    GET DIAGNOSTICS rows = ROW_COUNT;
	    RAISE EXCEPTION USING errcode = 'ZZ000';
	  EXCEPTION
	    WHEN SQLSTATE 'ZZ000' THEN RETURN rows;
	    WHEN OTHERS THEN RETURN SQLSTATE;
	  END;
	END $$;
	CREATE ROLE owner; CREATE ROLE predictor; CREATE ROLE reader; CREATE ROLE trainer;
	CREATE ROLE graph_reader; CREATE ROLE graph_trainer; CREATE ROLE member IN ROLE reader;
	CREATE ROLE aloof NOINHERIT IN ROLE reader; CREATE ROLE stranger;
	CREATE SCHEMA shop AUTHORIZATION owner;
	GRANT USAGE ON SCHEMA shop TO PUBLIC;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred TO PUBLIC;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred TO owner WITH GRANT OPTION;
	SET ROLE owner;
	SET search_path = shop;
	CREATE TABLE events AS
	SELECT u AS user_id, o AS object_id FROM generate_series(1, 300) u, generate_series(1, 20) o
	WHERE abs(hashint8extended(u * 1000 + o, 7)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 10) THEN 50 ELSE 5 END;
	CREATE TABLE held_out AS SELECT user_id, 21 - object_id AS object_id FROM events LIMIT 500;
	GRANT SELECT ON events, held_out TO PUBLIC;
	SELECT behavpred.create_graph('shop', 'events');
	SELECT behavpred.create_target('likes_5', 'shop', object => '5');
	SELECT behavpred.create_target('likes_6', 'shop', object => '6');
	SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1);
	SELECT behavpred.train_target('likes_5');
	SELECT behavpred.grant_on('target', 'likes_5', 'predict', 'predictor');
	SELECT behavpred.grant_on('target', 'likes_5', 'read', 'reader');
	SELECT behavpred.grant_on('target', 'likes_5', 'train', 'trainer');
	SELECT behavpred.grant_on('graph', 'shop', 'read', 'graph_reader');
	SELECT behavpred.grant_on('graph', 'shop', 'train', 'graph_trainer')});

my %verbs = (
	'predict'            => q{SELECT behavpred.predict('likes_5', 1)},
	'audience'           => q{SELECT FROM behavpred.audience('likes_5', size => 7)},
	'audience_into'      => q{SELECT behavpred.audience_into('likes_5', 'pg_temp.list', size => 7)},
	'view targets'       => q{SELECT FROM behavpred.targets},
	'view models'        => q{SELECT FROM behavpred.models},
	'view runs'          => q{SELECT FROM behavpred.runs},
	'view training_log'  => q{SELECT FROM behavpred.training_log},
	'view graphs'        => q{SELECT FROM behavpred.graphs},
	'view privileges'    => q{SELECT FROM behavpred.privileges},
	'table of models'    => q{SELECT FROM behavpred.trained_model},
	'table of runs'      => q{SELECT FROM behavpred.training_run},
	'table of grants'    => q{SELECT FROM behavpred.granted_privilege},
	'embedding'          => q{SELECT behavpred.embedding('shop', 1)},
	'object_embedding'   => q{SELECT behavpred.object_embedding('shop', 1)},
	'recommend'          => q{SELECT FROM behavpred.recommend('shop', 1, k => 3)},
	'recommend any'      => q{SELECT FROM behavpred.recommend('shop', 1, k => 3, exclude_seen => false)},
	'describe_graph'     => q{SELECT FROM behavpred.describe_graph('shop') LIMIT 1},
	'evaluate_graph'     => q{SELECT FROM behavpred.evaluate_graph('shop', 'shop.held_out')},
	'train_target'       => q{SELECT FROM behavpred.train_target('likes_5')},
	'train other target' => q{SELECT FROM behavpred.train_target('likes_6')},
	'train_graph'        => q{SELECT FROM behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 0)},
	'forget_user'        => q{SELECT FROM behavpred.forget_user('shop', 1) LIMIT 1},
	'train_targets'      => q{SELECT FROM behavpred.train_targets(targets => '{likes_5}') WHERE run_id IS NOT NULL},
	'deploy'             => q{SELECT behavpred.deploy('likes_5', 1)},
	'export_model'       => q{SELECT behavpred.export_model('likes_5')},
	'import_model'       => q{SELECT behavpred.import_model('likes_5', behavpred.export_model('likes_5'))},
	'create_target'      => q{SELECT behavpred.create_target('mine', 'shop', object => '7')},
	'drop_target'        => q{SELECT behavpred.drop_target('likes_5')},
	'drop_graph'         => q{SELECT behavpred.drop_graph('shop')},
	'grant_on'           => q{SELECT behavpred.grant_on('target', 'likes_5', 'train', 'public')},
	'revoke_on'          => q{SELECT behavpred.revoke_on('target', 'likes_5', 'read', 'reader')},
	'reassign_owner'     => q{SELECT behavpred.reassign_owner('owner', 'stranger')},
	'change sources'     => q{UPDATE behavpred.registered_graph SET interactions = 'shop.held_out'},
	'change owner'       => q{UPDATE behavpred.registered_target SET owner = current_user},
	'change deployed'    => q{UPDATE behavpred.registered_target SET deployed_version = 1 WHERE target = 'likes_5'},
	'delete models'      => q{DELETE FROM behavpred.trained_model},
	'forge a grant'      => q{INSERT INTO behavpred.granted_privilege (graph, privilege, grantee, embeddings, owner)
		VALUES ('shop', 'train', current_user, false, 'owner')},
	'squat a run'        => q{INSERT INTO behavpred.training_run (graph, status, seed, threads, options)
		VALUES ('shop', 'done', 1, 1, '{}')},
	'squat a target'     => q{INSERT INTO behavpred.registered_target (target, graph, objects) VALUES ('mine', 'shop', '{7}')});

# Rows, or the SQLSTATE of the refusal: 42501 insufficient privilege, 42704 no such object.
my @roles = qw(owner predictor reader trainer graph_reader graph_trainer member aloof stranger postgres);
my $expected = q{
                    owner predictor reader trainer graph_reader graph_trainer member aloof stranger postgres
predict             1     1         1      1       1            1             1      42704 42704    1
audience            7     42501     7      7       7            7             7      42704 42704    42501
audience_into       1     42501     1      1       1            1             1      42704 42704    42501
view targets        2     1         1      1       2            2             1      0     0        2
view models         1     0         1      1       1            1             1      0     0        1
view runs           2     0         1      1       2            2             1      0     0        2
view training_log   1     0         0      0       1            1             0      0     0        1
view graphs         1     0         0      0       1            1             0      0     0        1
view privileges     8     1         1      1       1            1             1      0     0        8
table of models     1     1         1      1       1            1             1      0     0        1
table of runs       2     0         2      2       2            2             2      0     0        2
table of grants     5     1         1      1       1            1             1      0     0        5
embedding           1     1         1      1       1            1             1      42704 42704    1
object_embedding    1     42501     1      1       1            1             1      42704 42704    1
recommend           3     42501     42501  42501   3            3             42501  42704 42704    42501
recommend any       3     42501     3      3       3            3             3      42704 42704    3
describe_graph      1     42501     42501  42501   1            1             42501  42704 42704    42501
evaluate_graph      1     42501     42501  42501   1            1             42501  42704 42704    42501
train_target        1     42501     42501  1       42501        1             42501  42704 42704    42501
train other target  1     42704     42704  42704   42501        1             42704  42704 42704    42501
train_graph         1     42501     42501  42501   42501        1             42501  42704 42704    42501
forget_user         1     42501     42501  42501   42501        42501         42501  42704 42704    42501
train_targets       1     0         0      1       0            1             0      0     0        0
deploy              1     42501     42501  1       42501        1             42501  42704 42704    42501
export_model        1     42501     1      1       1            1             1      42704 42704    1
import_model        1     42501     42501  1       42501        1             42501  42704 42704    42501
create_target       1     42501     42501  42501   42501        42501         42501  42704 42704    42501
drop_target         1     42501     42501  42501   42501        42501         42501  42704 42704    42501
drop_graph          1     42501     42501  42501   42501        42501         42501  42704 42704    42501
grant_on            1     42501     42501  42501   42501        42501         42501  42704 42704    1
revoke_on           1     42501     42501  42501   42501        42501         42501  42704 42704    1
reassign_owner      42501 42501     42501  42501   42501        42501         42501  42501 42501    1
change sources      1     0         0      0       0            42501         0      0     0        1
change owner        2     0         0      42501   0            42501         0      0     0        2
change deployed     1     0         0      1       0            1             0      0     0        1
delete models       1     0         0      0       0            0             0      0     0        1
forge a grant       1     42501     42501  42501   42501        42501         42501  42501 42501    1
squat a run         1     42501     42501  42501   42501        42501         42501  42501 42501    1
squat a target      1     42501     42501  42501   42501        42501         42501  42501 42501    1
};

my ($header, @lines) = grep { /\S/ } split /\n/, $expected;
my %told;

is_deeply([ split ' ', $header ], \@roles, 'the table has a column for each role');
foreach my $line (@lines)
{
	my ($verb, $cells) = $line =~ /^(\S.*?)\s{2,}(.*)$/;
	$told{$verb} = [ split ' ', $cells ];
}
is_deeply([ sort keys %told ], [ sort keys %verbs ], 'and a row for each verb');
foreach my $i (0 .. $#roles)
{
	my $statement = join ', ', map { "attempt(\$x\$$verbs{$_}\$x\$)" } sort keys %verbs;
	my @answers = split /\|/, scalar as_role($roles[$i], "SELECT $statement");

	foreach my $verb (sort keys %verbs)
	{
		is(shift @answers, $told{$verb}[$i], "$roles[$i]: $verb");
	}
}

# The view tells what a grant lacks, and each lack is a real one.
{
	my $lacks = q{SELECT lacks FROM behavpred.privileges WHERE role = '%s' AND privilege <> 'own'};

	is($node->safe_psql('postgres', sprintf($lacks, 'predictor')), '{}', 'a grant that lacks nothing');
	$node->safe_psql('postgres', q{
		REVOKE USAGE ON SCHEMA shop FROM PUBLIC;
		REVOKE SELECT ON shop.events FROM PUBLIC;
		GRANT USAGE ON SCHEMA shop TO predictor, trainer, graph_trainer});
	is($node->safe_psql('postgres', sprintf($lacks, 'reader')), '{"SELECT ON shop.events","USAGE ON SCHEMA shop"}',
		'two lacks of a reader');
	my ($output, $error) = as_role('reader', q{SELECT behavpred.predict('likes_5', 1)});
	like($error, qr/permission denied for schema shop/, 'he cannot predict without USAGE on the schema');
	is(as_role('reader', q{SELECT count(*) FROM behavpred.privileges}), '1', 'but look up what he lacks');
	$node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA shop TO reader');
	($output, $error) = as_role('reader', q{SELECT FROM behavpred.audience('likes_5', size => 7)});
	like($error, qr/permission denied for table events/, 'nor leave out known users without SELECT on the source');
	is(as_role('reader', q{SELECT count(*) FROM behavpred.audience('likes_5', size => 7, exclude_known => false)}), '7',
		'an audience with them reads no source');

	# a source in a schema that is shut to a reader of the graph
	$node->safe_psql('postgres', 'CREATE SCHEMA "Back office" AUTHORIZATION owner');
	$node->safe_psql('postgres', q{SET ROLE owner; SET search_path = shop; CREATE TABLE "Back office".events AS SELECT user_id, object_id FROM shop.events;
		SELECT behavpred.create_graph('hidden', '"Back office".events');
		SELECT behavpred.train_graph('hidden', dimension => 4, factors => 2, epochs => 0);
		SELECT behavpred.grant_on('graph', 'hidden', 'read', 'reader')});
	(undef, $error) = as_role('reader', q{SELECT * FROM behavpred.recommend('hidden', 1)});
	like($error, qr/permission denied for schema Back office.*HINT:  GRANT USAGE ON SCHEMA "Back office" TO reader;/s, 'a source in a shut schema: what to grant');
	is(as_role('reader', q{SELECT count(*) FROM behavpred.recommend('hidden', 1, 3, exclude_seen => false)}), '3', 'what needs no source');
	$node->safe_psql('postgres', q{SET ROLE owner; SELECT behavpred.drop_graph('hidden')});

	# column privileges are enough to train
	$node->safe_psql('postgres', q{GRANT SELECT (user_id, object_id) ON shop.events TO trainer, graph_trainer});
	is($node->safe_psql('postgres', sprintf($lacks, 'trainer')), '{}', 'column privileges are no lack');
	is(as_role('trainer', q{SELECT version FROM behavpred.train_target('likes_5')}), '2', 'and train');
	is($node->safe_psql('postgres', q{SELECT DISTINCT owner FROM behavpred.trained_model}), 'owner',
		'what a trainer makes belongs to the owner');
	is(as_role('graph_trainer', q{SELECT epochs_run FROM behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1)}),
		'1', 'a graph is trained by another role');
	is(as_role('owner', q{SELECT result ->> 'read_as', result ->> 'row_security' FROM behavpred.runs ORDER BY run_id DESC LIMIT 1}),
		'graph_trainer|error', 'its run tells who read the sources, and how');
	is(as_role('owner', q{SELECT count(*) FROM behavpred.training_log}), '2', 'the owner sees its epochs');
	($output, $error) = as_role('predictor', q{SELECT * FROM behavpred.train_target('likes_5')});
	like($error, qr/DETAIL:  Its owner "owner" has granted you predict, this needs train/, 'a refusal says what is missing');
	like($error, qr/HINT:  The owner can type: SELECT behavpred.grant_on\('target', 'likes_5', 'train', 'predictor'\)/, 'and how to get it');
}

# Procedures commit, so they stand outside the table above.
{
	my $run = q{CALL behavpred.run_graph('shop', dimension => 8, factors => 2, epochs => 1)};
	my %refusal = (
		graph_trainer => qr/^$/, trainer => qr/permission denied|is owned by/, graph_reader => qr/permission denied|is owned by/,
		stranger      => qr/graph "shop" does not exist/, postgres => qr/graph "shop" is owned by "owner"/);

	$node->safe_psql('postgres', 'GRANT EXECUTE ON ALL ROUTINES IN SCHEMA behavpred TO PUBLIC');
	foreach my $role (sort keys %refusal)
	{
		my (undef, $error) = as_role($role, $run);

		like($error, $refusal{$role}, "$role: run_graph");
	}
	my (undef, $error) = as_role('graph_trainer', q{CALL behavpred.run_targets('shop')});
	is($error, '', 'graph_trainer: run_targets');
	is(as_role('owner', q{SELECT count(*) > 0 FROM behavpred.runs WHERE owner <> 'owner'}), 'f', 'its runs belong to the owner');
	is(as_role('owner', q{SELECT bool_and(status = 'done') FROM behavpred.runs}), 't', 'and are done');
}

# Tables that a training makes anew are as accessible as those before.
{
	as_role('owner', q{
		DROP TABLE shop.shop_user_embedding;
		SET search_path = shop;
		SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1);
		SELECT behavpred.train_target('likes_5')});
	is(as_role('predictor', q{SELECT behavpred.predict('likes_5', 1) > 0}), 't', 'predict survives new tables');
	my (undef, $error) = as_role('stranger', q{SET search_path = shop; SELECT FROM shop.shop_user_embedding});
	like($error, qr/permission denied/, 'for nobody else');

	as_role('owner', q{SELECT behavpred.revoke_on('target', 'likes_5', 'predict', 'predictor')});
	(undef, $error) = as_role('predictor', q{SELECT behavpred.predict('likes_5', 1)});
	like($error, qr/ERROR:  target "likes_5" does not exist/, 'revoke_on takes it back');
	(undef, $error) = as_role('predictor', q{SELECT FROM shop.shop_user_embedding});
	like($error, qr/permission denied for table/, 'with the privilege on the table');
	is(as_role('reader', q{SELECT behavpred.predict('likes_5', 1) > 0}), 't', 'others keep theirs');
	(undef, $error) = as_role('owner', q{SELECT behavpred.revoke_on('target', 'likes_5', 'predict', 'predictor')});
	like($error, qr/ERROR:  role "predictor" was not granted predict on target "likes_5"/, 'nothing to revoke is said');
	as_role('owner', q{SELECT behavpred.grant_on('target', 'likes_5', 'predict', 'public', embeddings => false)});
	(undef, $error) = as_role('stranger', q{SELECT behavpred.predict('likes_5', 1)});
	like($error, qr/permission denied for schema shop/, 'a grant to public reaches everybody, and no further');
	as_role('owner', q{SELECT behavpred.revoke_on('target', 'likes_5', 'predict', 'public')});
}

# A grant for somebody else's graph gives nothing; wrong words are refused.
{
	as_role('stranger', q{INSERT INTO behavpred.granted_privilege (graph, privilege, grantee, embeddings) VALUES ('shop', 'train', 'stranger', false)});
	my (undef, $error) = as_role('stranger', q{SELECT behavpred.predict('likes_5', 1)});
	like($error, qr/ERROR:  target "likes_5" does not exist/, 'a grant that is not by the owner gives nothing');
	foreach my $call (
		[ q{'model', 'likes_5', 'read', 'reader'}, 'kind is "model"' ],
		[ q{NULL, 'likes_5', 'read', 'reader'}, 'kind must not be NULL' ],
		[ q{'target', 'likes_7', 'read', 'reader'}, 'target "likes_7" does not exist' ],
		[ q{'target', NULL, 'read', 'reader'}, 'name must not be NULL' ],
		[ q{'target', 'likes_5', 'own', 'reader'}, 'privilege is "own"' ],
		[ q{'target', 'likes_5', NULL, 'reader'}, 'privilege must not be NULL' ],
		[ q{'target', 'likes_5', 'read', 'nobody'}, 'role "nobody" does not exist' ],
		[ q{'target', 'likes_5', 'read', NULL}, 'role must not be NULL' ])
	{
		(undef, $error) = as_role('owner', "SELECT behavpred.grant_on($call->[0])");
		like($error, qr/ERROR:  \Q$call->[1]\E/, "grant_on($call->[0])");
	}
}

# Roles that are renamed or go, and who gets what they had.
{
	$node->safe_psql('postgres', 'DROP OWNED BY graph_reader; DROP ROLE graph_reader');
	is($node->safe_psql('postgres', q{SELECT lacks FROM behavpred.privileges WHERE role = 'graph_reader'}),
		'{"the role does not exist"}', 'a grant to a role that is gone is told of');
	is(as_role('reader', q{SELECT behavpred.predict('likes_5', 1) > 0}), 't', 'and harms nobody');
	as_role('owner', q{SELECT behavpred.revoke_on('graph', 'shop', 'read', 'graph_reader')});
	is($node->safe_psql('postgres', q{SELECT count(*) FROM behavpred.privileges WHERE role = 'graph_reader'}), '0', 'and can be revoked');

	$node->safe_psql('postgres', q{
		CREATE ROLE heir;
		REASSIGN OWNED BY owner TO heir;
		DROP OWNED BY owner;
		DROP ROLE owner;
		GRANT SELECT ON shop.events TO heir});
	my (undef, $error) = as_role('heir', q{SELECT behavpred.predict('likes_5', 1)});
	like($error, qr/ERROR:  target "likes_5" does not exist/, 'tables alone do not make an owner');
	cmp_ok($node->safe_psql('postgres', q{SELECT behavpred.reassign_owner('owner', 'heir')}), '>', 5, 'rows change hands');
	is(as_role('heir', q{SELECT behavpred.predict('likes_5', 1) > 0}), 't', 'the heir predicts');
	is(as_role('heir', q{SELECT deployed FROM behavpred.train_target('likes_5', options => '{"deploy": "always"}')}), 't', 'and trains');
	is(as_role('reader', q{SELECT behavpred.predict('likes_5', 1) > 0}), 't', 'grants go on');
	(undef, $error) = as_role('reader', q{SELECT behavpred.reassign_owner('heir', 'reader')});
	like($error, qr/permission denied to change the owner of graphs/, 'which is for superusers');
	is($node->safe_psql('postgres', q{SELECT behavpred.drop_graph('shop')} =~ s/^/SET ROLE heir; /r), '', 'and can drop it all');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM behavpred.granted_privilege}), '0', 'its grants with it');
}

done_testing();
