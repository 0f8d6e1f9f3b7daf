# The queue of changes under several sessions: none is lost, none is worked off twice at a time, a
# failure puts a batch back, a training may come in between; and rows that replication brings.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('refresh', "wal_level = logical\nmax_wal_senders = 4\nmax_replication_slots = 4\n");

$node->safe_psql('postgres', q{
	CREATE TABLE events AS SELECT u AS user_id, o AS object_id FROM generate_series(1, 200) u, generate_series(1, 20) o WHERE (u * 7 + o * 11) % 5 < 2;
	CREATE INDEX events_user ON events (user_id);
	SELECT behavpred.create_graph('shop', 'events');
	SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1);
	SELECT behavpred.capture_changes('shop')});

my $add = q{INSERT INTO events SELECT u, o FROM generate_series(%d, %d) u, generate_series(1, 20) o WHERE (u * 7 + o * 11) %% 5 < 2};
my $left = q{SELECT users FROM behavpred.freshness WHERE graph = 'shop'};
my $known = q{SELECT count(*) FROM shop_user_embedding WHERE user_id BETWEEN %d AND %d};
my $one = open_session($node);
my $two = open_session($node);
my ($output, $error);

# Two at a time: together they do all of it.
{
	$node->safe_psql('postgres', sprintf($add, 1001, 4000));
	($error) = run_until($one, q{CALL behavpred.run_refresh('shop', batch => 100)}, 0.1, sub {
		(undef, $output) = timed_query($two, q{CALL behavpred.run_refresh('shop', batch => 100)});
		is($output, '', 'the second one meets no error');
	});
	is($error, '', 'nor does the first');
	is($one->query($left), '0', 'nothing is left in the queue');
	is($one->query(sprintf($known, 1001, 4000)), '3000', 'every new user has a vector');
}

# Rows that another session has locked are passed over and stay.
{
	$node->safe_psql('postgres', sprintf($add, 5001, 5003));
	$one->query('BEGIN; SELECT FROM behavpred.changed_nodes FOR UPDATE');
	$node->safe_psql('postgres', sprintf($add, 5004, 5005));
	$two->query(q{CALL behavpred.run_refresh('shop')});
	is($two->query(sprintf($known, 5001, 5005)), '2', 'what is locked is passed over');
	$one->query('ROLLBACK');
	$two->query(q{CALL behavpred.run_refresh('shop')});
	is($two->query(sprintf($known, 5001, 5005)), '5', 'and done the next time');
}

# A batch that fails is back in the queue; time that is up leaves the rest.
{
	$node->safe_psql('postgres', 'ALTER TABLE shop_user_embedding ADD CONSTRAINT no CHECK (user_id <> 6002)');
	$node->safe_psql('postgres', sprintf($add, 6001, 6003));
	($output, $error) = timed_query($one, q{CALL behavpred.run_refresh('shop')});
	like($error, qr/violates check constraint "no"/, 'a batch fails');
	is($one->query($left), '3', 'it is in the queue again');
	$node->safe_psql('postgres', 'ALTER TABLE shop_user_embedding DROP CONSTRAINT no');
	$node->safe_psql('postgres', sprintf($add, 7001, 9000));
	$one->query(q{CALL behavpred.run_refresh('shop', max_seconds => 0, batch => 500)});
	my $rest = $one->query($left);
	ok($rest > 0 && $rest < 2003, 'max_seconds => 0 ends after one batch');
	$one->query(q{CALL behavpred.run_refresh('shop')});
	is($one->query($left), '0', 'the next call goes on');
}

# A training that stores its vectors is waited for, and the batch is folded into the new ones.
{
	$node->safe_psql('postgres', sprintf($add, 9501, 9502));
	$one->query('BEGIN');
	$one->query(q{SELECT behavpred.train_graph('shop', dimension => 12, factors => 2, epochs => 1, seed => 9)});
	$node->safe_psql('postgres', sprintf($add, 9503, 9504));
	($error) = run_until($two, q{CALL behavpred.run_refresh('shop')}, 0.5, sub { $one->query('COMMIT') });
	is($error, '', 'a refresh beside a training meets no error');
	is($one->query('SELECT DISTINCT cardinality(embedding) FROM shop_user_embedding'), '14', 'all vectors are of the new training');
	is($one->query(sprintf($known, 9501, 9504)), '4', 'also those that came while it ran');
	is($one->query($left), '0', 'the queue is empty');
}

# On a subscriber a trigger for each row sees what replication applies.
{
	my $connection = $node->connstr . ' dbname=postgres';

	$node->safe_psql('postgres', q{CREATE TABLE people (user_id int PRIMARY KEY, age int)});
	$node->safe_psql('postgres', q{CREATE PUBLICATION events FOR TABLE events, people WITH (publish = 'insert')});
	$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('events', 'pgoutput')});
	$node->safe_psql('postgres', 'CREATE DATABASE subscriber');
	$node->safe_psql('subscriber', qq{
		CREATE EXTENSION behavpred;
		CREATE TABLE events AS SELECT u AS user_id, o AS object_id FROM generate_series(1, 20) u, generate_series(1, 5) o;
		CREATE TABLE people AS SELECT u AS user_id, u AS age FROM generate_series(1, 20) u;
		SELECT behavpred.create_graph('shop', 'events', users => 'people');
		CREATE SUBSCRIPTION events CONNECTION '$connection' PUBLICATION events WITH (create_slot = false, slot_name = 'events', copy_data = false)});
	($output, undef, $error) = $node->psql('subscriber', q{SELECT behavpred.capture_changes('shop')});
	like($error, qr/rows that replication brings into public\.events are not captured.*into public\.people are not captured/s, 'by statement: a warning');
	$node->safe_psql('subscriber', q{SELECT behavpred.capture_changes('shop', 'row')});
	$node->safe_psql('postgres', 'INSERT INTO events VALUES (77, 3)');
	ok($node->poll_query_until('subscriber', q{SELECT users = 1 FROM behavpred.freshness}), 'by row: they are captured');
	$node->safe_psql('postgres', 'INSERT INTO people VALUES (88, 3)');
	ok($node->poll_query_until('subscriber', q{SELECT users = 2 FROM behavpred.freshness}), 'those of features as well');
	$node->safe_psql('subscriber', 'ALTER SUBSCRIPTION events DISABLE');
	$node->safe_psql('subscriber', 'ALTER SUBSCRIPTION events SET (slot_name = NONE)');
	$node->safe_psql('subscriber', 'DROP SUBSCRIPTION events');
}

$one->quit;
$two->quit;
done_testing();
