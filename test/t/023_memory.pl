# A session that trains hundreds of times does not grow.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('memory', 'max_parallel_workers_per_gather = 0');

make_graph($node, 'users => 150, objects => 20, targets => 1');
$node->safe_psql('postgres', q{
	SELECT behavpred.create_target('campaign', 'demo', object => '1');
	SELECT behavpred.train_graph('demo', epochs => 1, dimension => 8, factors => 2)});

# Resident memory of a backend that is its own, in kB: pages of shared memory come as they are touched.
sub resident
{
	my ($pid) = @_;
	my $status = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status");
	my ($anonymous) = $status =~ /^RssAnon:\s+(\d+)/m;

	return $anonymous;
}

foreach my $statement (q{PERFORM behavpred.train_graph('demo', epochs => 1, dimension => 8, factors => 2, threads => 2)},
	q{PERFORM behavpred.train_target('campaign', options => '{"iterations": 3}')},
	q{CALL behavpred.run_graph('demo', epochs => 1, dimension => 8, factors => 2)})
{
	my $session = open_session($node);
	my $pid = backend_pid($session);
	my $name = ($statement =~ /(\w+)\(/)[0];
	my @kilobytes;

	foreach my $times (10, 190)
	{
		my (undef, $error) = timed_query($session, "DO 'BEGIN FOR i IN 1 .. $times LOOP "
			. ($statement =~ s/'/''/gr) . "; COMMIT; END LOOP; END'");

		is($error, '', "$name runs $times times");
		push @kilobytes, resident($pid);
	}
	cmp_ok($kilobytes[1], '<', 1.05 * $kilobytes[0], "$name: $kilobytes[0] kB after 10 times, $kilobytes[1] kB after 200");
	check_one_thread($session, "after 200 times $name");
	$session->quit;
}

done_testing();
