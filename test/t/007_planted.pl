# Quality on planted data, against the best that the planted truth allows: the student
# on users whose acts were hidden, and routing on the factors that caused the links.
#
# Target 1001 is new to the graph and has its first takers as seeds; target 1002 is an
# object of the graph, whose takers' vectors know that they took it, which costs its
# student accuracy on those who have not.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('planted', "shared_buffers = 256MB\nwork_mem = 64MB");
my $session = open_session($node);

$node->safe_psql('postgres', source_file('test/demo/measure.sql'));
$node->safe_psql('postgres', q{
	SELECT FROM behavpred.demo_data('demo', users => 12000, objects => 1000, targets => 2, events_per_user => 60, target_rate => 0.1);
	CREATE VIEW demo.earlier AS SELECT * FROM demo.events WHERE object_id <> 1001;
	CREATE TABLE demo.takers AS SELECT DISTINCT user_id FROM demo.events WHERE object_id = 1001;
	SELECT behavpred.create_graph('demo', 'demo.earlier', behavior_column => 'kind', behaviors => '{click,purchase}')});

foreach my $routing ('disengcn', 'claim')
{
	my (undef, $error) = timed_query($session, qq{
		SELECT behavpred.train_graph('demo', epochs => 2, threads => 2, seed => 1, options => '{"routing": "$routing"}')});
	is($error, '', "$routing: trained");
	my ($alike, $apart) = split /\|/, $session->query(q{
		SELECT round(alike::numeric, 3), round(apart::numeric, 3)
		FROM measure.parted_links('demo', 'demo_user_embedding', 'demo_object_embedding', 4)});
	cmp_ok($alike - $apart, '>', 0.05,
		"$routing: a user's links are parted by cause (in one subspace: $alike of pairs with one cause, $apart with two)");
}

# How much a student may fall short of the best possible AUC.
my %target = (
	1001 => [ q{seeds => 'demo.takers'}, 0.02 ],
	1002 => [ q{object => '1002'}, 0.05 ]);

foreach my $object (sort keys %target)
{
	my ($arguments, $shortfall) = @{ $target{$object} };

	$session->query(qq{SELECT behavpred.create_target('t$object', 'demo', $arguments)});
	my (undef, $error) = timed_query($session, qq{SELECT behavpred.train_target('t$object')});
	is($error, '', "target $object: trained");

	my $positives = $session->query(qq{
		SELECT count(*) FROM demo.target_user_truth WHERE target = $object AND held_out AND happened});
	my %score = (
		best => 'probability',
		student => "behavpred.predict('t$object', user_id)",
		activity => "(SELECT degree FROM demo_user_embedding e WHERE e.user_id = t.user_id)");
	my %auc = map {
		$_ => scalar $session->query(qq{
			SELECT round(measure.auc(\$query\$ SELECT happened, $score{$_} AS score FROM demo.target_user_truth t
				WHERE target = $object AND held_out \$query\$)::numeric, 4)})
	} keys %score;

	cmp_ok($positives, '>=', 500, "target $object: enough held-out positives ($positives)");
	cmp_ok($auc{student}, '>', $auc{best} - $shortfall,
		"target $object: student $auc{student}, within $shortfall of the best possible $auc{best}");
	cmp_ok($auc{student}, '>', $auc{activity} + 0.2, "target $object: far above activity $auc{activity}");
}
$session->quit;

done_testing();
