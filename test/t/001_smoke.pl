# The ten-minute path, one statement after the other, on planted data.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('smoke');

make_graph($node, 'users => 2000, objects => 200, events_per_user => 30, targets => 1');

my ($users, $objects, $edges) = split /\|/, $node->safe_psql('postgres', q{
	SELECT max(value) FILTER (WHERE property = 'users'), max(value) FILTER (WHERE property = 'objects'),
		max(value) FILTER (WHERE property = 'edges')
	FROM behavpred.describe_graph('demo')});
is($users, 2000, 'describe_graph counts the users');
is($objects, 201, 'describe_graph counts the objects');
is($edges, $node->safe_psql('postgres', q{
	SELECT count(DISTINCT (user_id, object_id)) FROM demo.events WHERE kind IN ('click', 'purchase')}),
	'describe_graph counts the edges');

is($node->safe_psql('postgres', q{
	SELECT epochs_run BETWEEN 1 AND 3 AND loss > 0 AND recall_at_20 > 0.1 AND user_embeddings = 'public.demo_user_embedding'
	FROM behavpred.train_graph('demo', epochs => 3)}),
	't', 'train_graph trains');
is($node->safe_psql('postgres', q{
	SELECT (SELECT count(*) FROM demo_user_embedding WHERE array_length(embedding, 1) = 66) || ' '
		|| (SELECT count(*) FROM demo_object_embedding WHERE array_length(embedding, 1) = 66)}),
	'2000 201', 'every node has a vector');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM behavpred.recommend('demo', 7, k => 10) r
	WHERE r.object_key::bigint IN (SELECT object_id FROM demo.events WHERE user_id = 7 AND kind <> 'impression')}),
	'0', 'recommend leaves out what the user has seen');

$node->safe_psql('postgres', q{SELECT behavpred.create_target('campaign', 'demo', object => '201')});
is($node->safe_psql('postgres', q{
	SELECT version = 1 AND deployed AND n_positive > 20 AND auc > 0.7 FROM behavpred.train_target('campaign')}),
	't', 'train_target trains and deploys');
is($node->safe_psql('postgres', q{
	SELECT count(*) || ' ' || bool_and(probability BETWEEN 0 AND 1) || ' ' || (max(rank) = 100)
	FROM behavpred.audience('campaign', size => 100)}),
	'100 true true', 'audience has the size that was asked for');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM behavpred.audience('campaign', size => 500) JOIN demo.events ON user_id = user_key::bigint
	WHERE object_id = 201}),
	'0', 'audience leaves out those who did it already');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM behavpred.audience('campaign', size => 50) a
	WHERE a.probability IS DISTINCT FROM behavpred.predict('campaign', a.user_key)}),
	'0', 'predict agrees with audience');
is($node->safe_psql('postgres', q{SELECT behavpred.predict('campaign', 999999999) IS NULL}),
	't', 'predict of an unknown user is NULL');

my $session = open_session($node);
$session->query('SELECT behavpred.version()');
check_one_thread($session, 'after loading the library');
$session->quit;

done_testing();
