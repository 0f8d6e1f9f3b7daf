# On Citus: the extension goes to the workers, embeddings are written to a distributed table,
# score() runs on shards, and the sums of a student are made there. Runs where Citus is
# installed, and says so where it is not.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('coordinator');

if (!-e $node->config_data('--sharedir') . '/extension/citus.control')
{
	diag('CITUS IS NOT INSTALLED: nothing of what doc/scale.md says of Citus was tested. Install it for the PostgreSQL of PG_CONFIG.');
	plan skip_all => 'Citus is not installed: NOT TESTED';
}
$node->init;

my $worker = PostgreSQL::Test::Cluster->new('worker');
my $train = q{dimension => 16, factors => 2, epochs => 2};

sub sql { return $node->safe_psql('postgres', $_[0]) }

$worker->init;
foreach my $server ($node, $worker)
{
	$server->append_conf('postgresql.conf', "shared_preload_libraries = 'citus'\nwal_level = logical\nfsync = off\ncitus.shard_count = 4\n");
}
$_->start for $node, $worker;
$_->safe_psql('postgres', 'CREATE EXTENSION citus') for $node, $worker;
sql(sprintf(q{SELECT citus_set_coordinator_host('%s', %d); SELECT citus_add_node('%s', %d)},
	$node->host, $node->port, $worker->host, $worker->port));
sql('CREATE EXTENSION behavpred');
is($worker->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'behavpred'}), '1',
	'CREATE EXTENSION goes to the workers');

# A distributed table of interactions is read, and a distributed table of vectors written.
make_graph($node, 'users => 1500, objects => 120, seed => 3');
sql(q{
	CREATE TABLE events (user_id bigint, object_id int, kind text);
	SELECT create_distributed_table('events', 'user_id');
	INSERT INTO events SELECT user_id, object_id, kind FROM demo.events;
	SELECT behavpred.create_graph('shards', 'events', behavior_column => 'kind', behaviors => '{click,purchase}');
	CREATE TABLE vectors (user_id bigint PRIMARY KEY, embedding real[] NOT NULL, degree integer NOT NULL);
	SELECT create_distributed_table('vectors', 'user_id')});
sql("SELECT FROM behavpred.train_graph('demo', $train)");
sql("SELECT FROM behavpred.train_graph('shards', embeddings_table => 'vectors', $train)");
is(sql(q{SELECT md5(string_agg(user_id || embedding::text || degree, ',' ORDER BY user_id)) FROM vectors}),
	sql(q{SELECT md5(string_agg(user_id || embedding::text || degree, ',' ORDER BY user_id)) FROM demo_user_embedding}),
	'the vectors of a distributed table of interactions, in a distributed table');
cmp_ok(sql(sprintf(q{SELECT count(*) FROM citus_shards WHERE table_name = 'vectors'::regclass AND nodeport = %d}, $worker->port)),
	'>', 0, 'some shards lie on the worker');

# score() on the shards, the model from a reference table.
my $object = sql(q{SELECT object_id FROM demo.events WHERE kind = 'purchase' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1});

foreach my $graph ('demo', 'shards')
{
	sql("SELECT behavpred.create_target('buys_$graph', '$graph', object => '$object')");
	sql("SELECT FROM behavpred.train_graph('$graph', $train)");
	sql("SELECT FROM behavpred.train_target('buys_$graph')");
}
sql(q{
	CREATE TABLE models AS SELECT target, model FROM behavpred.trained_model WHERE target = 'buys_shards';
	SELECT create_reference_table('models')});
is(sql(q{SELECT count(*) FROM vectors v, models m WHERE behavpred.score(m.model, v.embedding) > 0.1}),
	sql(q{SELECT count(*) FROM demo_user_embedding v, behavpred.trained_model m WHERE m.target = 'buys_demo' AND behavpred.score(m.model, v.embedding) > 0.1}),
	'score() on the shards');
like(sql(q{EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM vectors v, models m WHERE behavpred.score(m.model, v.embedding) > 0.1}),
	qr/Custom Scan \(Citus Adaptive\).*score\(/s, 'is sent to them');
foreach my $arguments ('size => 25', 'fraction => 0.03', 'min_lift => 1.5')
{
	is(sql("SELECT string_agg(user_key || probability, ',' ORDER BY rank) FROM behavpred.audience('buys_shards', $arguments)"),
		sql("SELECT string_agg(user_key || probability, ',' ORDER BY rank) FROM behavpred.audience('buys_demo', $arguments)"),
		"the same audience: $arguments");
}

# The sums of a student are made on the shards.
sql(q{
	CREATE TABLE samples (user_id bigint, embedding real[], label boolean);
	SELECT create_distributed_table('samples', 'user_id');
	INSERT INTO samples SELECT user_id, embedding, abs(hashint8(user_id)) % 1000 < 900 / (1 + exp(-6 * embedding[2])) FROM vectors;
	CREATE TABLE together AS SELECT * FROM samples});
like(sql(q{EXPLAIN (VERBOSE, COSTS OFF) SELECT behavpred_internal.student_sums('', embedding, label::int::float8, NULL::float8, NULL::float8) FROM samples}),
	qr/worker_partial_agg/, 'student_sums() is pushed down');
is(sql(q{SELECT went_by_statements FROM behavpred.train_student('samples')}), 't', 'a distributed table is trained on by statements');
cmp_ok(sql(q{
	SELECT max(abs(behavpred.logit((SELECT trained FROM behavpred.train_student('samples')), embedding)
		- behavpred.logit((SELECT trained FROM behavpred.train_student('together', by_statements => false)), embedding))) FROM together}),
	'<', 1e-5, 'the same model as in memory, up to rounding');

done_testing();
