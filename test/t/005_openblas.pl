# Any of OpenBLAS's three builds may be there at run time: each trains, none of them
# leaves a thread in the backend, and none hangs when it can have no memory.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my @builds = grep { -e "$_/libopenblas.so.0" } glob('/usr/lib/*/openblas-{pthread,openmp,serial}');

if (!@builds)
{
	plan skip_all => 'OpenBLAS is not installed in the way of Debian';
}
is(scalar @builds, 3, 'the pthread, openmp and serial builds are installed');

my $node = start_node('openblas');
my $first;

make_graph($node, 'users => 500, objects => 60, targets => 1');
$node->stop;

foreach my $directory (@builds)
{
	my ($build) = $directory =~ /openblas-(\w+)$/;

	{
		local $ENV{LD_LIBRARY_PATH} = $directory;
		$node->start;
	}
	my $session = open_session($node);
	$session->query('SELECT behavpred.version()');
	my $pid = backend_pid($session);
	like(slurp_file("/proc/$pid/maps"), qr/openblas-$build\//, "$build: is the build that is loaded");
	check_one_thread($session, "$build: after loading");
	my (undef, $error) = timed_query($session, q{SELECT behavpred.train_graph('demo', epochs => 2, threads => 2)});
	is($error, '', "$build: trained");
	check_one_thread($session, "$build: after training");
	$session->quit;

	$session = open_session($node, timeout => 30);
	$session->query('SELECT behavpred.version()');
	SKIP:
	{
		skip 'prlimit is not there', 2 if !limit_memory($session, 60000);
		(undef, $error) = timed_query($session, q{SELECT behavpred.train_graph('demo', epochs => 2, threads => 2)});
		like($error, qr/out of memory/, "$build: an error when it can have no memory");
		check_one_thread($session, "$build: after that");
	}
	$session->quit;
	$node->stop;
}

done_testing();
