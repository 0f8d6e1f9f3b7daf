# Trainings beside what other sessions do: each sees either what was before or what came
# after, never a mix, and a conflict says who is in the way.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('concurrency');

$node->safe_psql('postgres', q{
	CREATE TABLE events AS SELECT u AS user_id, o AS object_id FROM generate_series(1, 200) u, generate_series(1, 20) o WHERE (u * 7 + o * 11) % 5 < 2;
	SELECT behavpred.create_graph('shop', 'events');
	SELECT behavpred.create_target('likes_5', 'shop', object => '5');
	SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1);
	SELECT behavpred.train_target('likes_5')});

my $train_graph = q{SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1, seed => %d)};
my $vectors = q{SELECT md5(string_agg(array_send(embedding), '' ORDER BY user_id)) FROM shop_user_embedding};
my $both = q{SELECT (SELECT md5(string_agg(array_send(embedding), '' ORDER BY user_id)) FROM shop_user_embedding),
	(SELECT md5(string_agg(array_send(embedding), '' ORDER BY object_id)) FROM shop_object_embedding), (SELECT trained_run FROM behavpred.graphs)};
my $predict = q{SELECT behavpred.predict('likes_5', 7)};
my $one = open_session($node);
my $two = open_session($node);
my ($output, $error);

# train + insert: rows that come during a training are for the next one; nobody waits.
{
	$one->query('BEGIN');
	$one->query(sprintf($train_graph, 2));
	($output, $error) = timed_query($two, q{INSERT INTO events SELECT 1000, o FROM generate_series(1, 20) o});
	is($error, '', 'rows are inserted while a training holds its transaction open');
	$one->query('COMMIT');
	is($two->query(q{SELECT behavpred.embedding('shop', 1000) IS NULL}), 't', 'the training did not see them');
	$two->query(sprintf($train_graph, 3));
	is($two->query(q{SELECT behavpred.embedding('shop', 1000) IS NULL}), 'f', 'the next one does');

	# the other way round: an insert that has not committed is not waited for
	$two->query('BEGIN; INSERT INTO events SELECT 2000, o FROM generate_series(1, 20) o');
	($output, $error) = timed_query($one, sprintf($train_graph, 4));
	is($error, '', 'a training does not wait for an insert');
	$two->query('ROLLBACK');
	$one->query(q{SELECT behavpred.train_target('likes_5', options => '{"deploy": "always"}')});
}

# train + predict: the old vectors and the old model until the commit, never a mix.
{
	my $before = $two->query($both);
	my $probability = $two->query($predict);

	$one->query('BEGIN');
	$one->query(sprintf($train_graph, 5));
	is($two->query($both), $before, 'readers see the old vectors of users and objects, and the old run');
	is($two->query($predict), $probability, 'predictions are those of before');
	$one->query(q{SELECT behavpred.train_target('likes_5', options => '{"deploy": "always"}')});
	is($two->query($predict), $probability, 'still');
	isnt($one->query($predict), $probability, 'the training session has its new model on its new vectors');

	$two->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($two->query($both), $before, 'a long transaction has taken its snapshot');
	$one->query('COMMIT');
	is($two->query($both), $before, 'the commit does not reach into it');
	is($two->query($predict), $probability, 'nor does the deployment: predict() answers as before');
	$two->query('COMMIT');
	isnt($two->query($both), $before, 'afterwards all is new at once');
	is($two->query($predict), $one->query($predict), 'for everybody');
}

# deploy + predict in a long transaction of READ COMMITTED: each statement sees one version.
{
	my $first = $two->query($predict);

	$one->query(q{SELECT behavpred.train_target('likes_5', model => 'mlp', options => '{"deploy": "never"}')});
	$two->query('BEGIN');
	is($two->query($predict), $first, 'a transaction begins');
	$one->query(q{SELECT behavpred.deploy('likes_5', (SELECT max(version) FROM behavpred.models WHERE target = 'likes_5'))});
	isnt($two->query($predict), $first, 'its next statement has the new version');
	is($two->query(q{SELECT count(DISTINCT behavpred.predict('likes_5', 7)) FROM generate_series(1, 50)}), '1', 'and only that one');
	$two->query('COMMIT');
	$one->query(q{SELECT behavpred.rollback('likes_5')});
	is($two->query($predict), $first, 'a rollback brings the first back');
}

# two trainings: of one graph one waits not but is told; of two targets both go on.
{
	my $pid = backend_pid($one);

	$node->safe_psql('postgres', q{SELECT behavpred.create_target('likes_6', 'shop', object => '6')});
	$one->query('BEGIN');
	$one->query(sprintf($train_graph, 6));
	($output, $error) = timed_query($two, sprintf($train_graph, 7));
	like($error, qr/ERROR:  graph "shop" is being trained or dropped by another session/, 'a second training of the graph');
	like($error, qr/DETAIL:  Process $pid of role/, 'says which process');
	($output, $error) = timed_query($two, q{SELECT behavpred.train_target('likes_6')});
	is($error, '', 'a target is trained on the old vectors meanwhile');
	$one->query('COMMIT');
	($output, $error) = timed_query($two, q{SELECT behavpred.predict('likes_6', 7)});
	like($error, qr/ERROR:  the model of target "likes_6" does not fit the present embeddings/, 'which the new ones make out of date');
	$one->query(q{BEGIN; SELECT behavpred.train_target('likes_5')});
	($output, $error) = timed_query($two, q{SELECT behavpred.train_target('likes_6')});
	is($error, '', 'two targets of a graph are trained beside each other');
	$one->query('COMMIT');
}

# train + drop: whatever works on a target keeps its graph from being dropped.
{
	my $pid = backend_pid($one);

	foreach my $work (
		q{SELECT behavpred.train_target('likes_5')},
		q{SELECT behavpred.train_targets('shop')},
		q{SELECT behavpred.create_target('likes_7', 'shop', object => '7')},
		q{SELECT behavpred.import_model('likes_5', behavpred.export_model('likes_5'))})
	{
		$one->query('BEGIN');
		(undef, $error) = timed_query($one, $work);
		is($error, '', $work);
		($output, $error) = timed_query($two, q{SELECT behavpred.drop_graph('shop')});
		like($error, qr/ERROR:  graph "shop" is in use by another session/, 'keeps the graph');
		like($error, qr/DETAIL:  Process $pid of role/, 'says which process');
		unlike($error, qr/foreign key/, 'no foreign key speaks');
		$one->query('ROLLBACK');
	}

	# and while a drop has not committed, nothing new begins on it
	$one->query(q{BEGIN; SELECT behavpred.drop_graph('shop')});
	foreach my $work (
		q{SELECT behavpred.train_target('likes_5')},
		q{SELECT behavpred.create_target('likes_7', 'shop', object => '7')},
		q{SELECT behavpred.train_graph('shop')})
	{
		($output, $error) = timed_query($two, "SET lock_timeout = '5s'; $work");
		like($error, qr/ERROR:  (graph "shop" is (in use|being trained or dropped) by another session|canceling statement due to lock timeout)/, "$work beside a drop");
		unlike($error, qr/foreign key/, 'no foreign key speaks');
	}
	$one->query('ROLLBACK');
	is($two->query($predict . ' IS NOT NULL'), 't', 'a drop that was rolled back has done nothing');
	($output, $error) = timed_query($two, q{SELECT behavpred.drop_graph('shop')});
	is($error, '', 'and at last it is dropped');
}

$_->quit for $one, $two;

done_testing();
