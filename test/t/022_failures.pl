# Progress as others see it, and what is left of a call that an error, a cancel or the end of
# its session meets in each phase: no thread, no memory, no lock, no half table.
use strict;
use warnings;

use BehavpredTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_node('failures', "client_connection_check_interval = 100ms\nmax_parallel_workers_per_gather = 0\nmax_connections = 60");

make_graph($node, 'users => 900, objects => 80, targets => 1');
$node->safe_psql('postgres', q{
	CREATE ROLE stranger LOGIN;
	SELECT behavpred.create_target('campaign', 'demo', object => '81');
	SELECT behavpred.train_graph('demo', epochs => 1, dimension => 16);
	SELECT behavpred.train_target('campaign')});

my $vectors = embedding_digest($node, 'demo');
my $model = model_digest($node, 'campaign');
my $session = open_session($node);
my $pid = backend_pid($session);

sub value
{
	my ($query) = @_;

	return scalar $node->safe_psql('postgres', $query);
}

sub start
{
	my ($in, $statement) = @_;

	$in->query_until(qr/statement sent/, "\\echo statement sent\n$statement;\n");
}

# Nothing of a failed call is left in its session or in the tables.
sub check_nothing_left
{
	my ($what) = @_;

	is(threads_of($pid), 1, "$what: one thread");
	is($session->query(q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'behavpred core%' AND total_bytes > 100000}),
		0, "$what: its memory is back");
	is($session->query(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), 0, "$what: no lock");
	is(value('SELECT count(*) FROM behavpred.progress'), 0, "$what: no progress");
	is(value(q{SELECT count(*) FROM behavpred.training_run r WHERE status = 'running'}), 0, "$what: no run that runs");
	is(embedding_digest($node, 'demo'), $vectors, "$what: the vectors are as before");
	is(model_digest($node, 'campaign'), $model, "$what: the model is as before");
}

# The phases that another session sees while a statement runs.
sub phases_of
{
	my ($statement) = @_;
	my $watched = open_session($node);
	my $watched_pid = backend_pid($watched);
	my $eyes = open_session($node);
	my %seen;

	start($watched, "$statement; SELECT 'it is ' || 'done'");
	my $deadline = time + 60;
	while (time < $deadline)
	{
		my $row = $eyes->query("SELECT phase, coalesce(target, graph), total IS NULL OR done BETWEEN 0 AND total FROM behavpred.progress WHERE pid = $watched_pid");

		$seen{"$1 of $2"}++ if $row =~ /^(.*)\|(.*)\|t$/m;
		$seen{"wrong: $row"}++ if $row =~ /\|f$/m;
		last if $row eq '' && %seen;
	}
	$_->quit for $watched, $eyes;
	return join ', ', sort keys %seen;
}

# Progress of functions and procedures, and who sees it.
like(phases_of(q{SELECT behavpred.train_graph('demo', epochs => 2, dimension => 16)}), qr/training of demo/, 'train_graph shows its progress');
unlike(phases_of(q{CALL behavpred.run_graph('demo', epochs => 2, dimension => 16, batch_size => 2000, checkpoint_seconds => 0)}), qr/wrong/, 'done never passes total');
like(phases_of(q{SELECT behavpred.train_target('campaign', model => 'mlp', options => '{"epochs": 100}')}), qr/ of campaign/, 'train_target shows its progress');
$node->safe_psql('postgres', q{SELECT behavpred.train_graph('demo', epochs => 1, dimension => 16); SELECT behavpred.train_target('campaign')});
$vectors = embedding_digest($node, 'demo');
$model = model_digest($node, 'campaign');

my $long = q{SELECT behavpred.train_graph('demo', epochs => 10000, patience => 0, threads => 2)};
start($session, $long);
ok($node->poll_query_until('postgres', "SELECT phase = 'training' FROM behavpred.progress WHERE pid = $pid"), 'a training is under way');
is(value(q{SET ROLE stranger; SELECT count(*) FROM behavpred.progress}), 0, 'a stranger does not see it');
is(value(q{SET ROLE stranger; SELECT count(*) FROM behavpred_internal.progress_slots()}), 0, 'nor by the function');
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', 'CREATE EXTENSION behavpred');
is($node->safe_psql('elsewhere', 'SELECT count(*) FROM behavpred.progress'), 0, 'nor does another database');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
timed_query($session, '');
check_nothing_left('cancel');

# More calls than there are places: the others run unseen.
{
	my @sessions = map { open_session($node) } 1 .. 18;

	$node->safe_psql('postgres', qq{SELECT behavpred.create_graph('g$_', 'demo.events')}) for 1 .. 18;
	start($sessions[$_ - 1], qq{SELECT behavpred.train_graph('g$_', epochs => 10000, patience => 0, dimension => 8)}) for 1 .. 18;
	ok($node->poll_query_until('postgres', "SELECT count(*) = 16 FROM behavpred.progress WHERE phase = 'training'"), '16 calls are seen');
	is(value(q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%10000%' AND pid <> pg_backend_pid()}), 18, 'of 18 that run');
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%10000%' AND pid <> pg_backend_pid()});
	is(value('SELECT count(*) FROM behavpred.progress'), 0, 'none is left when their sessions have ended');
	$_->{run}->kill_kill for @sessions;
	$node->safe_psql('postgres', qq{SELECT behavpred.drop_graph('g$_')}) for 1 .. 18;
}

# The client is gone in the middle of a procedure.
{
	my $lost = open_session($node);
	my $lost_pid = backend_pid($lost);

	start($lost, q{CALL behavpred.run_graph('demo', epochs => 10000, patience => 0, threads => 2)});
	ok($node->poll_query_until('postgres', "SELECT phase = 'training' FROM behavpred.progress WHERE pid = $lost_pid"), 'a procedure is under way');
	$lost->{run}->kill_kill;
	my $start = time;
	usleep(10000) while -e "/proc/$lost_pid" && time - $start < 10;
	cmp_ok(time - $start, '<', 1, 'it ends when its client is gone');
	is(value(q{SELECT status FROM behavpred.runs ORDER BY run_id DESC LIMIT 1}), 'crashed', 'its run has crashed');
	$node->safe_psql('postgres', q{CALL behavpred.run_maintenance()});
	check_nothing_left('client gone');
}

# Errors in each phase, where the build has debug points.
SKIP:
{
	my ($status) = $node->psql('postgres', 'SET behavpred.debug_point = DEFAULT');
	skip 'this build has no debug points (-DBEHAVPRED_DEBUG_POINTS)', 1 if $status != 0;

	my $procedure = q{CALL behavpred.run_graph('demo', epochs => 2, dimension => 16, batch_size => 2000, threads => 2, checkpoint_seconds => 0)};
	my $function = q{SELECT behavpred.train_graph('demo', epochs => 2, dimension => 16, batch_size => 2000, threads => 2)};
	my $target = q{SELECT behavpred.train_target('campaign', model => 'mlp', threads => 2)};
	my @cases = ((map { [$procedure, $_] } 'reading interactions', 'building the graph', 'comparing with the checkpoint', 'spectral start', 'training',
			'writing a checkpoint', 'calibrating', 'storing embeddings', 'recording the run', 'reading the checkpoint'),
		(map { [$function, $_] } 'reading interactions', 'training', 'storing embeddings'), [$target, 'training']);

	foreach my $case (@cases)
	{
		my ($statement, $phase) = @$case;

		# A checkpoint to be read is left by a failure after it was written.
		$session->query(q{CALL behavpred.run_graph('demo', epochs => 2, dimension => 16, batch_size => 2000, threads => 2, max_seconds => 0, checkpoint_seconds => 0)})
			if $phase eq 'reading the checkpoint';
		$session->query("SET behavpred.debug_point = '$phase'");
		my (undef, $error) = timed_query($session, $statement);
		like($error, qr/debug point "$phase"/, "$phase: an error");
		$session->query('RESET behavpred.debug_point');
		is(value('SELECT status || sqlstate FROM behavpred.runs ORDER BY run_id DESC LIMIT 1'), 'failedXX000', "$phase: its run tells")
			if $statement eq $procedure;
		check_nothing_left("$phase of " . ($statement =~ /(\w+)\(/)[0]);
		# Each of these errors meets a run of its own.
		$node->safe_psql('postgres', 'DELETE FROM behavpred.training_checkpoint');
	}
	my (undef, $error) = timed_query($session, $procedure);
	is($error, '', 'after all that it runs');
}

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/was terminated by signal|PANIC/, 'no process crashed');
$session->quit;

done_testing();
