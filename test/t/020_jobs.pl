# Procedures that commit between their steps: the same vectors as the function, no snapshot
# while they compute, pauses, crashes, one training at a time, targets by batches, upkeep.
use strict;
use warnings;

use BehavpredTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_node('jobs', "restart_after_crash = on\nmax_parallel_workers_per_gather = 0");

make_graph($node, 'users => 400, objects => 60, targets => 1');
$node->safe_psql('postgres', q{SELECT behavpred.create_graph('other', 'demo.events')});

# Short, and to be cut anywhere.
my $arguments = 'epochs => 6, patience => 0, dimension => 16, batch_size => 512';

sub value
{
	my ($query) = @_;

	return scalar $node->safe_psql('postgres', $query);
}

# Wait until a query gives "t", 60 s at most.
sub wait_until
{
	my ($query, $what) = @_;

	ok($node->poll_query_until('postgres', $query), $what);
}

# The newest run: the columns named.
sub last_run
{
	my ($columns) = @_;

	return value("SELECT $columns FROM behavpred.runs ORDER BY run_id DESC LIMIT 1");
}

# Standard error of a statement that succeeds.
sub notices
{
	my ($statement) = @_;
	my ($status, undef, $error) = $node->psql('postgres', $statement);

	is($status, 0, "succeeds: $statement") or diag($error);
	return $error;
}

# Vectors to be replaced, so that equal ones are new.
sub spoil
{
	$node->safe_psql('postgres', q{SELECT behavpred.train_graph('demo', epochs => 0, dimension => 16)});
}

sub start
{
	my ($session, $statement) = @_;

	$session->query_until(qr/statement sent/, "\\echo statement sent\n$statement;\n");
}

$node->safe_psql('postgres', "SELECT behavpred.train_graph('demo', $arguments)");
my $vectors = embedding_digest($node, 'demo');

# The procedure gives what the function gives.
{
	spoil();
	isnt(embedding_digest($node, 'demo'), $vectors, 'the vectors are others');
	is(notices("CALL behavpred.run_graph('demo', $arguments)"), '', 'nothing is said when all went well');
	is(embedding_digest($node, 'demo'), $vectors, 'run_graph gives the vectors of train_graph');
	is(last_run("status || ' ' || attempts || ' ' || role || ' ' || (peak_bytes > 100000) || ' ' || (seconds > 0)"),
		'done 1 ' . value('SELECT session_user') . ' true true', 'its run is done');
	is(value('SELECT count(*) FROM behavpred.training_log l WHERE run_id = (SELECT max(run_id) FROM behavpred.runs)'),
		6, 'with its epochs');
}

# Not where it could not commit.
foreach my $statement ("BEGIN; CALL behavpred.run_graph('demo')", "DO 'BEGIN CALL behavpred.run_graph(''demo''); EXCEPTION WHEN division_by_zero THEN NULL; END'",
	'BEGIN; CALL behavpred.run_targets()', 'BEGIN; CALL behavpred.run_maintenance()')
{
	my (undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");

	like($error, qr/ERROR:  2D000: run_\w+\(\) cannot run inside a transaction block or a function/, $statement);
	like($error, qr/HINT:  CALL it by itself/, 'with a hint');
}

# In a procedure of the user's: his work before it is committed, his loops go on.
$node->safe_psql('postgres', q{
	CREATE TABLE notes (note text);
	CREATE PROCEDURE all_graphs(wide int) LANGUAGE plpgsql AS $$
	DECLARE g text;
	BEGIN
		INSERT INTO notes VALUES ('begun ' || wide);
		FOR g IN SELECT graph FROM behavpred.graphs ORDER BY graph LOOP
			CALL behavpred.run_graph(g, epochs => 0, dimension => wide);
			INSERT INTO notes VALUES (g);
		END LOOP;
	END
	$$});
is(notices('CALL all_graphs(16)'), '', 'a procedure may call it in a loop');
isnt($node->psql('postgres', 'CALL all_graphs(7)'), 0, 'it ends with an error');
is(value("SELECT string_agg(note, ', ' ORDER BY note) FROM notes"), 'begun 16, begun 7, demo, other', 'what was done before stays');

# While it computes: no snapshot, its progress, its lock.
{
	my $session = open_session($node);
	my $pid = backend_pid($session);
	my ($error, $before);

	$before = embedding_digest($node, 'demo');
	start($session, q{CALL behavpred.run_graph('demo', epochs => 10000, patience => 0, threads => 2)});
	wait_until("SELECT phase = 'training' FROM behavpred.progress WHERE pid = $pid", 'it trains');
	is(value("SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = $pid"), 't',
		'it holds back no VACUUM');
	is(last_run("status || ' ' || pid"), "running $pid", 'its run is there while it runs');
	wait_until("SELECT graph = 'demo' AND done > 0 AND total > done AND percent < 100 AND eta > 0 AND bytes > 100000 "
		. "AND role = session_user AND started < now() FROM behavpred.progress WHERE pid = $pid",
		'its progress tells how far it is');
	is(threads_of($pid), 2, 'it has two threads');

	foreach my $other (q{CALL behavpred.run_graph('demo')}, q{SELECT behavpred.train_graph('demo')}, q{SELECT behavpred.drop_graph('demo')})
	{
		(undef, undef, $error) = $node->psql('postgres', $other);
		like($error, qr/ERROR:  graph "demo" is being trained or dropped by another session/, $other);
		like($error, qr/DETAIL:  Process $pid of role "\w+" has its lock since \d{4}-/, 'says who has it, and since when');
	}
	is(notices(q{CALL behavpred.run_graph('other', epochs => 0, dimension => 8)}), '', 'another graph is trained meanwhile');

	my $start = time;
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	(undef, $error) = timed_query($session, '');
	cmp_ok(time - $start, '<', 1, 'a cancel ends it at once');
	like($error, qr/canceling statement due to user request/, 'as a cancel');
	is(value("SELECT status || ' ' || error_text || ' ' || sqlstate FROM behavpred.runs WHERE graph = 'demo' ORDER BY run_id DESC LIMIT 1"),
		'failed canceling statement due to user request 57014', 'its run tells why it failed');
	check_one_thread($session, 'after the cancel');
	is($session->query(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), 0, 'its lock is gone');
	is(value('SELECT count(*) FROM behavpred.progress'), 0, 'its progress is gone');
	is(embedding_digest($node, 'demo'), $before, 'the vectors are as before');
	$session->quit;
}

# Pauses: each call does a step, until one comes to the end.
{
	my $calls = 0;
	my $notice;

	spoil();
	do
	{
		$notice = notices("CALL behavpred.run_graph('demo', $arguments, threads => 1 + $calls % 3, max_seconds => 0, checkpoint_seconds => 0)");
		if ($calls++ == 0)
		{
			like($notice, qr/NOTICE:  training graph "demo" paused after max_seconds => 0\n/, 'it pauses');
			like($notice, qr/HINT:  Run the same statement again to go on: CALL behavpred\.run_graph\('demo'/, 'says how to go on');
			is(last_run('status'), 'paused', 'its run is paused');
		}
	} while ($notice =~ /paused/ && $calls < 500);
	cmp_ok($calls, '>', 3, "it took $calls calls");
	is(last_run('status || attempts'), "done$calls", 'in one run');
	is(embedding_digest($node, 'demo'), $vectors, 'pauses do not change the vectors');
	is(value('SELECT count(*) FROM behavpred.training_checkpoint_part'), 0, 'no checkpoint is left');
}

# Other data, other options, resume => false: afresh.
{
	my $pause = "CALL behavpred.run_graph('demo', $arguments, max_seconds => 0)";

	notices($pause);
	like(notices("CALL behavpred.run_graph('demo', $arguments, seed => 7, max_seconds => 0)"),
		qr/NOTICE:  training graph "demo" starts afresh\nDETAIL:  The checkpoint of run \d+ is of other data or other options/, 'another seed');
	is(value(q{SELECT status || ' ' || error_text FROM behavpred.runs ORDER BY run_id DESC OFFSET 1 LIMIT 1}),
		'failed a later call did not go on with it', 'the former run is over');
	notices($pause);
	$node->safe_psql('postgres', q{CREATE TABLE one_more AS SELECT * FROM demo.events LIMIT 1;
		UPDATE one_more SET event_id = 1000000, kind = 'purchase', user_id = 1000000;
		INSERT INTO demo.events SELECT * FROM one_more});
	like(notices($pause), qr/starts afresh/, 'one more interaction');
	$node->safe_psql('postgres', q{DELETE FROM demo.events WHERE event_id = 1000000});
	notices($pause);
	unlike(notices("CALL behavpred.run_graph('demo', $arguments, resume => false, max_seconds => 0)"), qr/afresh/, 'resume => false says nothing');
	is(last_run('attempts'), 1, 'and begins a run');

	# A damaged checkpoint is refused once, then gone.
	$node->safe_psql('postgres', q{UPDATE behavpred.training_checkpoint_part SET data = set_byte(data, 99, get_byte(data, 99) # 1)});
	my (undef, undef, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$pause");
	like($error, qr/ERROR:  XX001: the checkpoint of run \d+ is damaged/, 'a damaged checkpoint is refused');
	is(last_run('sqlstate'), 'XX001', 'the run tells');
	is(value('SELECT count(*) FROM behavpred.training_checkpoint'), 0, 'it is dropped');
}

# kill -9 in the middle: the server restarts, and the next call goes on from the checkpoint.
# A lock stops the training where it would write its next one, however fast the machine is.
{
	my $session = open_session($node);
	my $holder = open_session($node);
	my $pid = backend_pid($session);
	my $calls = 0;
	my $before;

	spoil();
	$before = embedding_digest($node, 'demo');
	do
	{
		notices("CALL behavpred.run_graph('demo', $arguments, max_seconds => 0, checkpoint_seconds => 0)");
	} while (++$calls < 500 && value('SELECT max(epochs) < 2 FROM behavpred.training_checkpoint') eq 't');
	is(value('SELECT max(epochs) FROM behavpred.training_checkpoint'), 2, 'two epochs are in a checkpoint');
	$holder->query('BEGIN; LOCK TABLE behavpred.training_checkpoint_part IN SHARE MODE');
	start($session, "CALL behavpred.run_graph('demo', $arguments, checkpoint_seconds => 0)");
	wait_until("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid", 'the next one is on its way');
	my $attempts = $calls + 1;
	kill 'KILL', $pid;
	usleep(10000) while -e "/proc/$pid";
	wait_until('SELECT true', 'the server is back');
	is(last_run('status'), 'crashed', 'its run has crashed');
	cmp_ok(value('SELECT count(*) FROM behavpred.training_log WHERE run_id = (SELECT max(run_id) FROM behavpred.runs)'), '>=', 2,
		'its epochs are in the log');
	is(embedding_digest($node, 'demo'), $before, 'the vectors are as before');
	is(notices("CALL behavpred.run_graph('demo', $arguments, threads => 2)"), '', 'the next call goes on');
	is(last_run("status || ' ' || attempts"), 'done ' . ($attempts + 1), 'in the same run');
	is(value('SELECT count(*) FROM behavpred.training_log WHERE run_id = (SELECT max(run_id) FROM behavpred.runs)'), 6, 'with all epochs');
	is(embedding_digest($node, 'demo'), $vectors, 'to the vectors of an uninterrupted training, byte for byte');
	is(value("SELECT (result ->> 'best_epoch')::int BETWEEN 1 AND 6 FROM behavpred.runs ORDER BY run_id DESC LIMIT 1"), 't', 'and a best epoch');
	$_->{run}->kill_kill for $session, $holder;
}

# Errors of the server itself: no memory within the limit, none at all.
{
	my $session = open_session($node);
	my (undef, $error) = timed_query($session, q{SET behavpred.max_memory = '1MB'; CALL behavpred.run_graph('demo', dimension => 256)});
	like($error, qr/max_memory/, 'a limit on memory is an error that names the setting');
	is(last_run('sqlstate'), '53400', 'and is in the run');
	$session->query('RESET behavpred.max_memory');
	$session->quit;
}

# Without memory for OpenBLAS, which would look for it for ever, a call fails; what was there before is used.
SKIP:
{
	my $session = open_session($node, timeout => 30);
	my $error;

	$session->query('SELECT behavpred.version()');
	skip 'prlimit is not there', 8 if !limit_memory($session, 60000);
	(undef, $error) = timed_query($session, "CALL behavpred.run_graph('demo', $arguments, threads => 2)");
	like($error, qr/out of memory/, 'no memory for OpenBLAS is an error');
	is(last_run('sqlstate'), '53200', 'and is in the run');
	(undef, $error) = timed_query($session, q{SELECT count(*) FROM behavpred.recommend_all('demo')});
	like($error, qr/out of memory/, 'of those who only read, too');
	check_one_thread($session, 'after them');
	$session->quit;

	spoil();
	$session = open_session($node, timeout => 30);
	$session->query(q{SELECT count(*) FROM behavpred.recommend_all('demo')});
	limit_memory($session, 60000);
	(undef, $error) = timed_query($session, "CALL behavpred.run_graph('demo', $arguments, threads => 2)");
	is($error, '', 'memory for one of two threads is enough');
	is(embedding_digest($node, 'demo'), $vectors, 'to the same vectors');
	limit_memory($session, 8000);
	(undef, $error) = timed_query($session, q{CALL behavpred.run_graph('demo', dimension => 512, threads => 2)});
	like($error, qr/out of memory/, 'no memory for the vectors is an error');
	check_one_thread($session, 'after it');
	$session->quit;
}

# Targets: failures are recorded, the others go on.
{
	$node->safe_psql('postgres', q{
		SELECT behavpred.create_target('t' || o, 'demo', object => o::text) FROM generate_series(1, 18) AS o;
		SELECT behavpred.create_target('everybody', 'demo', seeds => 'demo.users')});
	my $error = notices(q{CALL behavpred.run_targets('demo')});
	like($error, qr/WARNING:  \d+ of 19 targets could not be trained\nDETAIL:  The first: /, 'a failing target stops no other');
	is(value(q{SELECT count(*) FROM behavpred.targets t WHERE deployed_version IS NULL
		AND NOT EXISTS (SELECT FROM behavpred.runs r WHERE r.target = t.target AND r.status = 'failed' AND sqlstate = '55000' AND error_text <> '')}),
		0, 'each target has a model or a failed run');
	is(value(q{SELECT deployed_version IS NULL FROM behavpred.targets WHERE target = 'everybody'}), 't', 'this one cannot have a model');
	cmp_ok(value(q{SELECT count(DISTINCT target) FROM behavpred.models}), '>=', 5, 'many have');
	like(notices(q{CALL behavpred.run_targets('demo', max_seconds => 0)}),
		qr/NOTICE:  training targets paused after max_seconds => 0\nDETAIL:  16 of 19 targets are done/, 'it pauses after a batch');
	my $last = value(q{SELECT string_agg(target, ',' ORDER BY last, target) FROM (SELECT target, max(started_at) AS last
		FROM behavpred.runs WHERE target IS NOT NULL GROUP BY target ORDER BY last, target LIMIT 3) AS oldest});
	notices(q{CALL behavpred.run_targets('demo', max_seconds => 0)});
	is(value(qq{SELECT count(*) FROM (SELECT target FROM behavpred.runs WHERE target IS NOT NULL ORDER BY run_id DESC LIMIT 16) AS newest
		WHERE target = ANY (string_to_array('$last', ','))}), 3, 'those trained longest ago come first');
	(undef, undef, $error) = $node->psql('postgres', q{CALL behavpred.run_targets(targets => '{everybody,nobody}')});
	like($error, qr/ERROR:  2 of 2 targets could not be trained/, 'it is an error when all fail');
	(undef, undef, $error) = $node->psql('postgres', q{CALL behavpred.run_targets(model => 'forest')});
	like($error, qr/forest/, 'a bad argument is one at once');
}

# Upkeep.
{
	$node->safe_psql('postgres', q{SELECT behavpred.train_target('t1', options => '{"deploy": "always"}') FROM generate_series(1, 3);
		SELECT behavpred.train_target('t1', options => '{"deploy": "never"}') FROM generate_series(1, 3)});
	my $deployed = value(q{SELECT deployed_version FROM behavpred.targets WHERE target = 't1'});
	my $latest = value(q{SELECT max(version) FROM behavpred.models WHERE target = 't1'});
	like(notices('CALL behavpred.run_maintenance(keep_versions => 1, keep_runs => 2)'),
		qr/NOTICE:  removed \d+ versions?, \d+ runs? and 0 checkpoints/, 'old versions and runs go');
	is(value(q{SELECT string_agg(version::text, ',' ORDER BY version) FROM behavpred.models WHERE target = 't1'}),
		join(',', $deployed - 1, $deployed, $latest), 'the deployed version, the one before it, and the latest stay');
	is(value(q{SELECT behavpred.rollback('t1')}), $deployed - 1, 'a rollback is possible');
	is(value(q{SELECT count(*) FROM behavpred.graphs g LEFT JOIN behavpred.runs r ON r.run_id = g.trained_run WHERE r.run_id IS NULL}),
		0, 'graphs keep their runs');
	is(value(q{SELECT count(*) > 0 FROM behavpred.audience('t2', size => 5)}), 't', 'models work');
	notices("CALL behavpred.run_graph('demo', $arguments, max_seconds => 0)");
	is(notices('CALL behavpred.run_maintenance()') =~ /0 checkpoints/, 1, 'a checkpoint that can be gone on with stays');
	$node->safe_psql('postgres', "SELECT behavpred.train_graph('demo', $arguments)");
	like(notices('CALL behavpred.run_maintenance()'), qr/1 checkpoint/, 'one that a later training has overtaken goes');
	my (undef, undef, $error) = $node->psql('postgres', 'CALL behavpred.run_maintenance(keep_runs => 0)');
	like($error, qr/keep_runs is 0/, 'something must be kept');
}

done_testing();
