# Erasure: after forget_user() a dump holds the user's key nowhere but in the caller's own
# tables, which the receipt names.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('erasure');
my $key = 'user-4711-of-"x"';
my $quoted = q{'user-4711-of-"x"'};

$node->safe_psql('postgres', qq{
	CREATE SCHEMA shop;
	CREATE TABLE shop.events AS
	SELECT CASE WHEN u = 200 THEN $quoted ELSE 'user-' || u END AS user_id, o AS object_id
	FROM generate_series(1, 200) u, generate_series(1, 20) o WHERE (u * 7 + o * 11) % 5 < 2;
	CREATE TABLE shop.people AS SELECT DISTINCT user_id, length(user_id) AS letters FROM shop.events;
	CREATE TABLE shop.vips AS SELECT user_id AS member FROM shop.people WHERE user_id LIKE 'user-4%' OR user_id LIKE 'user-1%';
	ALTER TABLE shop.people ADD PRIMARY KEY (user_id);
	SELECT behavpred.create_graph('shop', 'shop.events', users => 'shop.people');
	SELECT behavpred.create_target('vip', 'shop', object => '5', seeds => 'shop.vips');
	SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1);
	SELECT behavpred.train_target('vip');
	SELECT behavpred.audience_into('vip', 'shop.campaign', size => 200, exclude_known => false)});
$node->psql('postgres', q{CALL behavpred.run_graph('shop', dimension => 8, factors => 2, epochs => 1000, patience => 0, max_seconds => 0, checkpoint_seconds => 0)});
is($node->safe_psql('postgres', 'SELECT count(*) FROM behavpred.training_checkpoint'), '1', 'there is a checkpoint');
is($node->safe_psql('postgres', "SELECT behavpred.predict('vip', $quoted) > 0"), 't', 'the user is known');

# Dump of everything but the caller's own tables.
sub dump_grep
{
	my ($name) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name.sql";

	$node->command_ok([ 'pg_dump', '--exclude-schema=shop', "--file=$file", 'postgres' ], "$name: dumped");
	my $dump = slurp_file($file);
	like($dump, qr/shop_user_embedding/, "$name: with the embedding tables");
	like($dump, qr/COPY behavpred\.trained_model /, "$name: and those of the extension");
	# Digits alone are also those of some number; bytea is dumped in hexadecimal.
	return () = $dump =~ /4711-of-|343731312d6f662d/g;
}

$node->safe_psql('postgres', "INSERT INTO behavpred.changed_nodes (graph, users) VALUES ('shop', ARRAY['user-7', $quoted])");
cmp_ok(dump_grep('before'), '>', 0, 'before: a dump holds the key');
is($node->safe_psql('postgres', "SELECT place, row_count, action FROM behavpred.forget_user('shop', $quoted)"),
	join("\n",
		'shop_user_embedding|1|removed',
		'behavpred.training_checkpoint|1|removed',
		'behavpred.trained_network_part|1|removed',
		'behavpred.drift_reference|1|removed',
		'behavpred.changed_nodes|1|removed',
		'shop.events|8|remains: yours to delete (interactions)',
		'shop.people|1|remains: yours to delete (features)',
		'shop.vips|1|remains: yours to delete (seeds)',
		'shop.campaign|1|remains: yours to delete (audience)') =~ s/^shop_user/public.shop_user/r,
	'the receipt');
is(dump_grep('after'), 0, 'after: it does not');
is($node->safe_psql('postgres', "SELECT behavpred.predict('vip', $quoted) IS NULL"), 't', 'nobody is predicted for');
is($node->safe_psql('postgres', 'SELECT count(*) FROM behavpred.training_checkpoint_part'), '0', 'no part of a checkpoint is left');
is($node->safe_psql('postgres', "SELECT sum(row_count) FROM behavpred.forget_user('shop', $quoted) WHERE action = 'removed'"), '0',
	'once more there is nothing to remove');
is($node->safe_psql('postgres', q{SELECT behavpred.predict('vip', 'user-7') > 0}), 't', 'others are untouched');
$node->safe_psql('postgres', "DELETE FROM shop.$_ WHERE user_id = $quoted") foreach 'events', 'people', 'campaign';
$node->safe_psql('postgres', "DELETE FROM shop.vips WHERE member = $quoted");
is($node->safe_psql('postgres', "SELECT sum(row_count) FROM behavpred.forget_user('shop', $quoted)"), '0', 'when the caller has deleted the rest, nothing remains');
$node->safe_psql('postgres', q{SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 1)});
is($node->safe_psql('postgres', "SELECT behavpred.embedding('shop', $quoted) IS NULL"), 't', 'nor does the next training know him');

# Keys of another type, and what is refused.
{
	my $error;

	$node->safe_psql('postgres', q{
		CREATE TABLE numbers AS SELECT u AS user_id, o AS object_id FROM generate_series(1, 60) u, generate_series(1, 10) o WHERE (u + o) % 3 = 0;
		SELECT behavpred.create_graph('numbers', 'numbers');
		SELECT behavpred.train_graph('numbers', dimension => 4, factors => 2, epochs => 0)});
	is($node->safe_psql('postgres', q{SELECT place, row_count FROM behavpred.forget_user('numbers', 7) WHERE row_count > 0}),
		"public.numbers_user_embedding|1\nbehavpred.trained_network_part|1\nbehavpred.drift_reference|1\npublic.numbers|3", 'a key in its own type');
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.forget_user('numbers', 'x'' OR true --')});
	like($error, qr/ERROR:  invalid input syntax for type integer/, 'no key, no statement');
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.forget_user('nothing', 7)});
	like($error, qr/ERROR:  graph "nothing" does not exist/, 'no graph');
	(undef, undef, $error) = $node->psql('postgres', q{SELECT behavpred.forget_user('numbers', NULL::text)});
	like($error, qr/ERROR:  user_id must not be NULL/, 'no user');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM numbers_user_embedding}), '59', 'one vector has gone');
}

done_testing();
