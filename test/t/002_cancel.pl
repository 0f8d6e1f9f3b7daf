# Ctrl-C, statement_timeout and pg_terminate_backend end every phase at once, and leave
# nothing half done: no table, no row, no thread.
#
# The phases are met by sweeping: a call is run once to the end, then again and again
# with a statement_timeout at growing fractions of that time.
use strict;
use warnings;

use BehavpredTest;
use Test::More;
use Time::HiRes qw(time usleep);

# What a call may take to end, and what the way through psql and a busy machine adds.
my $limit = 0.3;
my $allowance = 0.2;
my $steps = $ENV{BEHAVPRED_LONG} ? 40 : 8;

my $node = start_node('cancel', 'max_parallel_workers_per_gather = 0');

make_graph($node, 'users => 8000, objects => 1000, targets => 1');

# Many users and little else: long to read and to write, quick to train.
$node->safe_psql('postgres', q{
	CREATE VIEW wide_events AS
		SELECT u::bigint AS user_id, 1 + hashint8(u * 7 + i)::bigint % 250 + 250 AS object_id
		FROM generate_series(1, 150000) AS u, generate_series(1, 3) AS i;
	SELECT behavpred.create_graph('wide', 'wide_events');
	SELECT behavpred.train_graph('wide', epochs => 0, dimension => 32);
	SELECT behavpred.create_target('many', 'wide', object => '250');
	SELECT behavpred.train_target('many');
	SELECT behavpred.train_graph('demo', epochs => 1);
	SELECT behavpred.create_target('campaign', 'demo', object => '1001');
	SELECT behavpred.train_target('campaign')});
my $vectors = embedding_digest($node, 'demo');
my $model = model_digest($node, 'campaign');
my $session = open_session($node);

# Nothing of an interrupted call is left.
sub check_nothing_left
{
	my ($what) = @_;

	is(embedding_digest($node, 'demo'), $vectors, "$what: the vectors are as before");
	is(model_digest($node, 'campaign'), $model, "$what: the model is as before");
	is($node->safe_psql('postgres', q{
		SELECT (SELECT count(*) FROM behavpred.training_run WHERE status = 'running') || ' '
			|| (SELECT count(*) FROM behavpred.registered_graph WHERE graph = 'interrupted') || ' '
			|| (SELECT count(*) FROM pg_class WHERE relname LIKE 'interrupted%')}),
		'0 0 0', "$what: no run, graph or table is left");
}

# The seconds of a whole call, its effect rolled back.
sub whole_call
{
	my ($statement) = @_;
	my ($output, $error, $seconds) = timed_query($session, "BEGIN; $statement; ROLLBACK");

	is($error, '', "runs to its end in $seconds s: $statement");
	return $seconds;
}

# Interrupt a call by statement_timeout at growing times. A procedure commits by itself, so
# its whole time is measured beforehand, and its checkpoints are gone before each step.
sub sweep
{
	my ($what, $statement, $procedure_seconds) = @_;
	my $whole = $procedure_seconds // whole_call($statement);
	my $block = $procedure_seconds ? 'SELECT' : 'BEGIN';
	my ($cancelled, $slowest, $slowest_at) = (0, 0, 0);

	for my $step (1 .. $steps)
	{
		my $timeout = int(1000 * $whole * $step / ($steps + 1)) || 1;
		my (undef, $error, $seconds) = timed_query($session,
			"SET statement_timeout = $timeout; $block; $statement; ROLLBACK; RESET statement_timeout");
		$session->query('ROLLBACK; RESET statement_timeout');
		$session->{stderr} = '';

		# Late timeouts may come after the end of a call that was faster this time.
		$cancelled++ if $error =~ /canceling statement due to statement timeout/;
		if ($seconds - $timeout / 1000 > $slowest)
		{
			($slowest, $slowest_at) = ($seconds - $timeout / 1000, $timeout);
		}
		is(threads_of(backend_pid($session)), 1, "$what: one thread after a timeout at $timeout ms");
	}
	cmp_ok($cancelled, '>=', $steps / 2, "$what: timeouts met the call while it ran");
	cmp_ok($slowest, '<', $limit + $allowance, "$what: ends in time (slowest after a timeout at $slowest_at ms)");
	check_nothing_left($what);
}

# pg_cancel_backend() and pg_terminate_backend() in the middle of a call.
sub signals
{
	my ($what, $statement) = @_;
	my $whole = whole_call($statement);
	my $pid = backend_pid($session);
	my ($error, $seconds) = run_until($session, $statement, $whole / 2,
		sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)") });

	like($error, qr/canceling statement due to user request/, "$what: Ctrl-C");
	cmp_ok($seconds, '<', $limit + $allowance, "$what: Ctrl-C ends it in time");
	check_one_thread($session, "$what: after Ctrl-C");
	check_nothing_left("$what: Ctrl-C");

	my $victim = open_session($node);
	my $victim_pid = backend_pid($victim);
	$victim->query_until(qr/statement sent/, "\\echo statement sent\n$statement;\n");
	usleep($whole / 2 * 1e6);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($victim_pid)");
	my $start = time;
	usleep(10000) while -e "/proc/$victim_pid" && time - $start < 10;
	cmp_ok(time - $start, '<', $limit + $allowance, "$what: pg_terminate_backend ends it in time");
	check_nothing_left("$what: pg_terminate_backend");
	$victim->{run}->kill_kill;
}

my $train = q{SELECT behavpred.train_graph('demo', epochs => 1, threads => 2)};
my $train_wide = q{SELECT behavpred.train_graph('interrupted', epochs => 0, dimension => 32)};
my $train_mlp = q{SELECT behavpred.train_target('campaign', model => 'mlp', threads => 2, options => '{"epochs": 200}')};

sweep('create_graph', q{SELECT behavpred.create_graph('interrupted', 'wide_events')});
sweep('train_graph', $train);
sweep('train_graph on samples', q{SELECT behavpred.train_graph('demo', epochs => 1, threads => 2,
	options => '{"sampled_neighbours": 5, "keep_network": false}')});
sweep('first train_graph', "SELECT behavpred.create_graph('interrupted', 'wide_events'); $train_wide");
sweep('train_target', q{SELECT behavpred.train_target('many', threads => 2)});
sweep('train_target, mlp', $train_mlp);
sweep('audience', q{SELECT count(*) FROM behavpred.audience('many', fraction => 1.0)});

# Procedures: every run starts afresh, writes a checkpoint after each step, and is never let
# come to its end, whose effect could not be rolled back.
my $run = q{CALL behavpred.run_graph('demo', epochs => 1, threads => 2, resume => false, checkpoint_seconds => 0)};
my $run_targets = q{CALL behavpred.run_targets(targets => '{many}', threads => 2)};
sweep('run_graph', $run, 0.9 * whole_call($train));
sweep('run_targets', $run_targets, 0.8 * whole_call(q{SELECT behavpred.train_targets(targets => '{many}', threads => 2)}));
$node->safe_psql('postgres', q{CALL behavpred.run_maintenance()});
signals('train_graph', $train);
signals('train_target', $train_mlp);

# Errors in the middle of a call end its threads as well.
my (undef, $error) = timed_query($session,
	q{SET behavpred.max_memory = '1MB'; SELECT behavpred.train_graph('demo', threads => 2)});
like($error, qr/max_memory/, 'a limit on memory is an error that names the setting');
check_one_thread($session, 'after passing max_memory');
$session->query('RESET behavpred.max_memory');

(undef, $error) = timed_query($session,
	q{SELECT behavpred.train_graph('demo', epochs => 1, threads => 2, learning_rate => 1e30)});
isnt($error, '', 'a diverging training is an error');
check_one_thread($session, 'after a diverging training');
check_nothing_left('errors');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/was terminated by signal|PANIC/, 'no process crashed');
$session->quit;

done_testing();
