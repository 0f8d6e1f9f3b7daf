# On Citus: the extension goes to the workers, embeddings are written to a distributed table,
# score() and audience() run on shards, the sums of a student are made there, and what else there is works
# with distributed interactions and vectors. Runs where Citus is installed, and says so where it is not.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('coordinator');

if (!-e $node->config_data('--sharedir') . '/extension/citus.control')
{
	diag('CITUS IS NOT INSTALLED: nothing of what doc/scale.md says of Citus was tested. Install it for the PostgreSQL of PG_CONFIG.');
	plan skip_all => 'Citus is not installed: NOT TESTED';
}
$node->init;

my @workers = map { PostgreSQL::Test::Cluster->new($_) } 'worker_1', 'worker_2';
my $train = q{dimension => 16, factors => 2, epochs => 2};

sub sql { return $node->safe_psql('postgres', $_[0]) }

# The vectors of users in a table: users, and a digest of theirs.
sub vectors
{
	my ($table) = @_;

	return sql("SELECT count(*), md5(string_agg(user_id || embedding::text || degree, ',' ORDER BY user_id)) FROM $table");
}

$_->init for @workers;
foreach my $server ($node, @workers)
{
	$server->append_conf('postgresql.conf', "shared_preload_libraries = 'citus'\nwal_level = logical\nfsync = off\ncitus.shard_count = 4\nlog_statement = all\n");
	$server->start;
	$server->safe_psql('postgres', 'CREATE EXTENSION citus');
}
sql(sprintf(q{SELECT citus_set_coordinator_host('%s', %d)}, $node->host, $node->port));
sql(sprintf(q{SELECT citus_add_node('%s', %d)}, $_->host, $_->port)) for @workers;
sql('CREATE EXTENSION behavpred');
foreach my $worker (@workers)
{
	is($worker->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'behavpred'}), '1',
		'CREATE EXTENSION goes to ' . $worker->name);
}

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
is(vectors('vectors'), vectors('demo_user_embedding'), 'the vectors of a distributed table of interactions, in a distributed table');
is(sql(q{SELECT count(DISTINCT nodeport) FROM citus_shards WHERE table_name = 'vectors'::regclass}), '2', 'whose shards lie on both workers');
foreach my $again ("SELECT FROM behavpred.train_graph('%s', seed => 7, $train)", "CALL behavpred.run_graph('%s', $train)")
{
	sql(sprintf($again, $_)) for 'demo', 'shards';
	is(vectors('vectors'), vectors('demo_user_embedding'), "written once more: $again");
}

# score() on the shards, the model from a reference table.
my $object = sql(q{SELECT object_id FROM demo.events WHERE kind = 'purchase' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1});

foreach my $graph ('demo', 'shards')
{
	sql("SELECT behavpred.create_target('buys_$graph', '$graph', object => '$object')");
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

# An audience is what it is with one table, and chosen on the shards.
my $offset = -s $workers[0]->logfile;

foreach my $arguments ('size => 25', 'fraction => 0.03', 'min_lift => 1.5')
{
	is(sql("SELECT string_agg(user_key || probability, ',' ORDER BY rank) FROM behavpred.audience('buys_shards', $arguments)"),
		sql("SELECT string_agg(user_key || probability, ',' ORDER BY rank) FROM behavpred.audience('buys_demo', $arguments)"),
		"the same audience: $arguments");
}
like(substr(slurp_file($workers[0]->logfile), $offset), qr/FROM public\.vectors_\d+ [^\n]*ORDER BY \(?behavpred\.logit\([^\n]*LIMIT/,
	'a worker sorts and cuts its shards');

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

# What else reads or writes distributed tables: the same as with tables of one server.
foreach my $question ("SELECT round(behavpred.predict('buys_%s', 7)::numeric, 6)", "SELECT string_agg(user_key || similarity, ',' ORDER BY rank) FROM behavpred.similar_users('%s', 7)",
	"SELECT string_agg(object_key || score, ',' ORDER BY rank) FROM behavpred.recommend('%s', 7)", "SELECT count(*), round(sum(score)::numeric, 3) FROM behavpred.recommend_all('%s')",
	"SELECT string_agg(user_key || probability, ',' ORDER BY rank) FROM behavpred.audiences('{buys_%s}', size => 10)",
	"SELECT round(sum(psi)::numeric, 9), string_agg(verdict, ',' ORDER BY measure) FROM behavpred.check_drift('buys_%s')",
	"SELECT users_refreshed, users_added FROM behavpred.refresh('%s', '{1,2,3}')")
{
	is(sql(sprintf($question, 'shards')), sql(sprintf($question, 'demo')), "the same: $question");
}
sql('CREATE TABLE brought AS SELECT * FROM vectors');
is(sql(q{SELECT max(abs(a - b)) FILTER (WHERE i < 18) < 1e-5, max(abs(a - b)) < 0.1
	FROM demo_user_embedding d JOIN brought b USING (user_id), unnest(d.embedding, b.embedding) WITH ORDINALITY n (a, b, i)}), 't|t',
	'to the same vectors, but for activities, which are compared with those of a sample of users');
my (undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.capture_changes('shards')});
like($error, qr/public\.events is distributed over servers/, 'its changes cannot be captured by triggers');
is(sql(q{SELECT behavpred.capture_changes('demo')}), '1', 'those of a table of this server can');
sql(q{CALL behavpred.run_targets('shards'); CALL behavpred.run_nightly('shards')});
sql(q{SELECT behavpred.forget_user('shards', '5')});
is(sql('SELECT count(*) FROM vectors WHERE user_id = 5'), '0', 'a user is forgotten');
sql(q{SELECT behavpred.drop_graph('shards')});
cmp_ok(sql('SELECT count(*) FROM vectors'), '>', 1000, 'drop_graph() leaves the table of vectors');

done_testing();
