# Sessions beside a training: a second training, a client that is gone, requests to the
# backend that must not wait for the end of its work.
use strict;
use warnings;

use BehavpredTest;
use IPC::Run;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_node('sessions', "client_connection_check_interval = 100ms\nlog_min_messages = log");

make_graph($node, 'users => 1500, objects => 150, targets => 1');

# Hours of work, to be met in the middle.
my $long = q{SELECT behavpred.train_graph('demo', epochs => 10000, patience => 0, threads => 2)};

# Wait for a condition, 10 s at most; returns the seconds.
sub wait_for
{
	my ($condition) = @_;
	my $start = time;

	usleep(10000) while !$condition->() && time - $start < 10;
	return time - $start;
}

sub start_long
{
	my ($session) = @_;
	my $pid = backend_pid($session);

	$session->query_until(qr/statement sent/, "\\echo statement sent\n$long;\n");
	wait_for(sub { threads_of($pid) == 2 });
	is(threads_of($pid), 2, 'a training is under way in two threads');
	return $pid;
}

# One training of a graph at a time; the other session hears who is in its way.
{
	my $holder = open_session($node);
	my $other = open_session($node);
	my $pid = backend_pid($holder);
	my ($output, $error);

	$holder->query(q{BEGIN; SELECT behavpred.train_graph('demo', dimension => 8, epochs => 0)});
	foreach my $statement (q{SELECT behavpred.train_graph('demo')}, q{SELECT behavpred.drop_graph('demo')})
	{
		(undef, $error) = timed_query($other, $statement);
		like($error, qr/ERROR:  graph "demo" is being trained or dropped by another session/, $statement);
		like($error, qr/DETAIL:  Process $pid of role "\w+" has its lock since \d{4}-/, 'says which process');
		like($error, qr/HINT:  Wait for it, or stop it: SELECT pg_cancel_backend\($pid\)/, 'says what to do');
	}
	$other->query(q{SELECT behavpred.create_graph('second', 'demo.events')});
	(undef, $error) = timed_query($other, q{SELECT behavpred.train_graph('second', dimension => 8, epochs => 0)});
	is($error, '', 'another graph is trained meanwhile');
	$holder->query('COMMIT');
	(undef, $error) = timed_query($other, q{SELECT behavpred.train_graph('demo', dimension => 8, epochs => 0)});
	is($error, '', 'after the commit it is free');
	($output) = timed_query($other, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'});
	is($output, '0', 'no lock is left');
	$_->quit for $holder, $other;
}

# A target's training whose snapshot is older than the target's last version.
{
	my $session = open_session($node);
	my $train = q{SELECT version FROM behavpred.train_target('campaign')};
	my ($version, $error);

	$node->safe_psql('postgres', q{SELECT behavpred.create_target('campaign', 'demo', object => '151')});
	$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	$node->safe_psql('postgres', $train);
	(undef, $error) = timed_query($session, $train);
	like($error, qr/ERROR:  could not serialize access/, 'a version that came in between is a serialization failure');
	$session->query('ROLLBACK');
	($version, $error) = timed_query($session, $train);
	is($version . $error, '2', 'and the next statement makes the next version');
	$session->quit;
}

# What other sessions wait for is served in the middle of a training.
{
	my $session = open_session($node);
	my $pid = start_long($session);
	my $start = time;

	$node->safe_psql('postgres', 'CREATE DATABASE passing');
	$node->safe_psql('postgres', 'DROP DATABASE passing');	# waits until every backend has passed a barrier
	cmp_ok(time - $start, '<', 5, 'DROP DATABASE does not wait for a training');
	$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($pid)");
	# The announcement is a line of its own; the contexts follow one by one, their sum at the end.
	wait_for(sub { source_of_log() =~ /logging memory contexts of PID $pid.*Grand total:/s });
	like(source_of_log(), qr/behavpred core/, 'memory contexts are logged, the core among them');
	is(threads_of($pid), 2, 'the training goes on');

	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	my (undef, $error) = timed_query($session, '');
	like($error, qr/canceling statement due to user request/, 'until it is cancelled');
	is(threads_of($pid), 1, 'one thread afterwards');
	$session->quit;
}

# A client that is gone takes its training with it.
{
	my $session = open_session($node);
	my $pid = start_long($session);

	$session->{run}->kill_kill;
	cmp_ok(wait_for(sub { !-e "/proc/$pid" }), '<', 1, 'the backend of a lost client ends');
}

sub source_of_log
{
	return PostgreSQL::Test::Utils::slurp_file($node->logfile);
}

is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server is up');
unlike(source_of_log(), qr/was terminated by signal|PANIC|TRAP/, 'no process crashed');

done_testing();
