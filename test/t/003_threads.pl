# The same seed gives the same bytes with 1, 2 and 4 threads, and every thread has
# ended when a call returns.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('threads', 'behavpred.max_threads = 8');

make_graph($node, 'users => 1500, objects => 150, targets => 1');
$node->safe_psql('postgres', q{
	SELECT behavpred.create_graph('described', 'demo.events', behavior_column => 'kind', behaviors => '{click,purchase}',
		users => 'demo.users', user_features => '{age,country,plan}')});

my %networks = (
	'claim 5' => [ 'demo', '{}' ],
	'each centre, additive attention' => [ 'demo', '{"routing": "disengcn", "attention": "additive"}' ],
	'samples' => [ 'demo', '{"sampled_neighbours": 5, "attention": "additive"}' ],
	'features' => [ 'described', '{}' ]);

foreach my $name (sort keys %networks)
{
	my ($graph, $options) = @{ $networks{$name} };
	my $session = open_session($node);
	my $first;

	foreach my $threads (1, 2, 4)
	{
		my (undef, $error) = timed_query($session, qq{
			SELECT behavpred.train_graph('$graph', epochs => 2, seed => 7, threads => $threads, options => '$options')});
		is($error, '', "$name: trained with $threads threads");
		check_one_thread($session, "$name: after training with $threads");
		my $digest = embedding_digest($node, $graph);
		$first //= $digest;
		is($digest, $first, "$name: the same vectors with $threads threads");
	}
	timed_query($session, qq{
		SELECT behavpred.train_graph('$graph', epochs => 2, seed => 8, options => '$options')});
	isnt(embedding_digest($node, $graph), $first, "$name: other vectors with another seed");
	$session->quit;
}

foreach my $model ('logistic', 'mlp')
{
	my $session = open_session($node);
	my ($first_model, $first_audience);

	foreach my $threads (1, 2, 4)
	{
		$session->query(qq{SELECT behavpred.create_target('campaign', 'demo', object => '151')});
		my (undef, $error) = timed_query($session, qq{
			SELECT behavpred.train_target('campaign', model => '$model', seed => 7, threads => $threads)});
		is($error, '', "$model: trained with $threads threads");
		check_one_thread($session, "$model: after training with $threads");
		my $digest = model_digest($node, 'campaign');
		$first_model //= $digest;
		is($digest, $first_model, "$model: the same bytes with $threads threads");
		my ($audience) = timed_query($session, qq{
			SELECT md5(string_agg(a::text, ' ')) FROM behavpred.audience('campaign', size => 300, threads => $threads) a});
		$first_audience //= $audience;
		is($audience, $first_audience, "$model: the same audience with $threads threads");
		check_one_thread($session, "$model: after audience with $threads");
		$session->query(q{SELECT behavpred.drop_target('campaign')});
		$session->{stderr} = '';
	}
	$session->quit;
}

done_testing();
