# Quality on planted data, against the best that the planted truth allows: the student
# on users whose acts were hidden, and routing on the factors that caused the links.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('planted', "shared_buffers = 256MB\nwork_mem = 64MB");
my $session = open_session($node);

$node->safe_psql('postgres', source_file('test/demo/measure.sql'));
make_graph($node, 'users => 12000, objects => 1000, targets => 2, events_per_user => 60, target_rate => 0.1');
# targets first: the training then shields half of the users from them
$session->query(qq{SELECT behavpred.create_target('t$_', 'demo', object => '$_')}) foreach (1001, 1002);

foreach my $routing ('disengcn', 'claim')
{
	my (undef, $error) = timed_query($session, qq{
		SELECT behavpred.train_graph('demo', threads => 2, options => '{"routing": "$routing"}')});
	is($error, '', "$routing: trained");
	my ($alike, $apart) = split /\|/, $session->query(q{
		SELECT round(alike::numeric, 3), round(apart::numeric, 3)
		FROM measure.parted_links('demo', 'demo_user_embedding', 'demo_object_embedding', 4)});
	cmp_ok($alike - $apart, '>', 0.05,
		"$routing: a user's links are parted by cause (in one subspace: $alike of pairs with one cause, $apart with two)");
}

foreach my $object (1001, 1002)
{
	my (undef, $error) = timed_query($session, qq{SELECT behavpred.train_target('t$object')});
	is($error, '', "target $object: trained");
	is(scalar $session->query(qq{SELECT metrics ->> 'test_basis' FROM behavpred.trained_model WHERE target = 't$object'}),
		'unseen', "target $object: measured on users the graph has not seen with it");

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
	cmp_ok($auc{student}, '>', $auc{best} - 0.02,
		"target $object: student $auc{student}, within 0.02 of the best possible $auc{best}");
	cmp_ok($auc{student}, '>', $auc{activity} + 0.2, "target $object: far above activity $auc{activity}");
}
$session->quit;

done_testing();
