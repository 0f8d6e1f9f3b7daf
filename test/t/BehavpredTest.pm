# BehavpredTest.pm
#		What the TAP tests share: a server with the extension, planted data, sessions whose
#		statements are timed, digests of what was trained, and a look at a backend's threads.
package BehavpredTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(start_node make_graph open_session timed_query run_until
  backend_pid threads_of check_one_thread limit_memory embedding_digest model_digest source_file);

# A test that hangs, wherever it does, ends and stops its servers.
my $most_seconds = $ENV{BEHAVPRED_LONG} ? 1500 : 400;
$SIG{ALRM} = sub { die "$0 ran for more than $most_seconds s\n" };
alarm($most_seconds);

# A running server with the extension in database postgres.
sub start_node
{
	my ($name, $configuration) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "fsync = off\nmax_wal_size = 4GB\n" . ($configuration // ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION behavpred');
	return $node;
}

# Planted data in schema demo, and graph "demo" over its clicks and purchases.
sub make_graph
{
	my ($node, $arguments) = @_;

	$node->safe_psql('postgres', "SELECT FROM behavpred.demo_data('demo', $arguments)");
	$node->safe_psql('postgres', q{
		SELECT behavpred.create_graph('demo', 'demo.events',
			behavior_column => 'kind', behaviors => '{click,purchase}')});
}

# A session that goes on after an error; its standard error is kept until it is read.  Settings are
# those of background_psql(), as timeout => seconds that a query may take.
sub open_session
{
	my ($node, %settings) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0, %settings);

	# The limit of time is one of each statement, not of all that the session does.
	$session->set_query_timer_restart() if $session->can('set_query_timer_restart');
	$session->query('SET client_min_messages = error');
	return $session;
}

# Run one statement; its output, its error message ("" when there is none), its seconds.
sub timed_query
{
	my ($session, $statement) = @_;
	my $start = time;
	my $output = $session->query($statement);
	my $seconds = time - $start;
	my $error = $session->{stderr};

	$session->{stderr} = '';
	return ($output, $error, $seconds);
}

# Start a statement, wait, do something meanwhile, and return the statement's error and
# the seconds from the end of that to the end of the statement.
sub run_until
{
	my ($session, $statement, $wait, $meanwhile) = @_;

	$session->query_until(qr/statement sent/, "\\echo statement sent\n$statement;\n");
	usleep($wait * 1e6);
	$meanwhile->();
	my $start = time;
	my (undef, $error, undef) = timed_query($session, '');
	return ($error, time - $start);
}

sub backend_pid
{
	my ($session) = @_;

	return scalar $session->query("SELECT pg_backend_pid()");
}

# Threads of a process, as the kernel counts them.
sub threads_of
{
	my ($pid) = @_;
	my $status = slurp_file("/proc/$pid/status");

	return $status =~ /^Threads:\s+(\d+)/m ? $1 : -1;
}

# Let a session's address space grow by so many kB and no further; false where that cannot be done.
sub limit_memory
{
	my ($session, $kilobytes) = @_;
	my $pid = backend_pid($session);
	my ($now) = slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+)/m;
	my $limit = 1024 * ($now + $kilobytes);

	return system("prlimit --pid $pid --as=$limit:$limit >/dev/null 2>&1") == 0;
}

sub check_one_thread
{
	my ($session, $when) = @_;

	is(threads_of(backend_pid($session)), 1, "one thread $when");
}

# A digest of the stored vectors' bytes; of the absence of a table, when there is none.
sub embedding_digest
{
	my ($node, $graph, $database) = @_;
	my $digest = '';

	foreach my $kind ('user', 'object')
	{
		my $table = "${graph}_${kind}_embedding";
		my $exists = $node->safe_psql($database // 'postgres', "SELECT to_regclass('$table')");

		$digest .= $exists eq '' ? "no $table " : $node->safe_psql($database // 'postgres', qq{
			SELECT md5(string_agg(array_send(embedding), '' ORDER BY ${kind}_id)) || ' ' || count(*) || ' '
			FROM $table});
	}
	return $digest;
}

# A digest of the bytes of a target's deployed model.
sub model_digest
{
	my ($node, $target, $database) = @_;

	return $node->safe_psql($database // 'postgres', qq{
		SELECT coalesce(md5(string_agg(behavpred_internal.model_send(model), '' ORDER BY version)), 'none')
		FROM behavpred.trained_model WHERE target = '$target'});
}

# A file of the project as text.
sub source_file
{
	my ($name) = @_;

	return slurp_file("$ENV{BEHAVPRED_SOURCE}/$name");
}

1;
