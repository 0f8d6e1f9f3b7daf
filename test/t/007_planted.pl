# Quality on planted data, against the best that the planted truth allows: the student
# on users whose acts were hidden, routing on the factor that caused each event.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('planted', "shared_buffers = 256MB\nwork_mem = 64MB");
my $session = open_session($node);

make_graph($node, 'users => 12000, objects => 1000, targets => 2, events_per_user => 60, target_rate => 0.1');

$node->safe_psql('postgres', source_file('test/demo/measure.sql'));

foreach my $routing ('claim', 'disengcn')
{
	my (undef, $error) = timed_query($session, qq{
		SELECT behavpred.train_graph('demo', threads => 2, seed => 1, options => '{"routing": "$routing"}')});
	is($error, '', "$routing: trained");
	my $share = $session->query(q{
		SELECT round(measure.recovered_factors('demo', 'demo_user_embedding', 'demo_object_embedding')::numeric, 3)});
	note "$routing: the planted factor of $share of the events is recovered, chance is about 0.25";
	cmp_ok($share, '>', 0.4, "$routing: factors are recovered clearly above chance ($share)");
}

foreach my $target (1001, 1002)
{
	$session->query(qq{SELECT behavpred.create_target('t$target', 'demo', object => '$target')});
	my (undef, $error) = timed_query($session, qq{SELECT behavpred.train_target('t$target')});
	is($error, '', "target $target: trained");

	my $positives = $session->query(qq{
		SELECT count(*) FROM demo.target_user_truth WHERE target = $target AND held_out AND happened});
	my %score = (
		best => 'probability',
		student => "behavpred.predict('t$target', user_id)",
		activity => "(SELECT degree FROM demo_user_embedding e WHERE e.user_id = t.user_id)");
	my %auc = map {
		$_ => $session->query(qq{
			SELECT measure.auc(\$query\$ SELECT happened, $score{$_} AS score FROM demo.target_user_truth t
				WHERE target = $target AND held_out \$query\$)})
	} keys %score;

	note "target $target: AUC of the planted probability $auc{best}, student $auc{student}, activity $auc{activity}";
	cmp_ok($positives, '>=', 500, "target $target: enough held-out positives ($positives)");
	cmp_ok($auc{student}, '>', $auc{best} - 0.02, "target $target: the student is within 0.02 of the best possible");
	cmp_ok($auc{student}, '>', $auc{activity} + 0.2, "target $target: and far above activity");
}
$session->quit;

done_testing();
