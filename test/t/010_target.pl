# Targets beside other sessions and under other roles: one training at a time, no drop in
# its middle, sources that row security would cut, and who may do what.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('target');

$node->safe_psql('postgres', q{
	CREATE TABLE events AS
	SELECT u AS user_id, o AS object_id FROM generate_series(1, 400) u, generate_series(1, 30) o
	WHERE abs(hashint8extended(u * 1000 + o, 7)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 15) THEN 50 ELSE 5 END;
	SELECT behavpred.create_graph('shop', 'events');
	SELECT behavpred.create_target('likes_5', 'shop', object => '5');
	SELECT behavpred.create_target('likes_6', 'shop', object => '6');
	SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 3)});

# One training or drop of a target at a time; the other session hears who is in its way.
{
	my $holder = open_session($node);
	my $other = open_session($node);
	my $pid = backend_pid($holder);
	my ($output, $error);

	$holder->query(q{BEGIN; SELECT behavpred.train_target('likes_5')});
	foreach my $statement (q{SELECT behavpred.train_target('likes_5')}, q{SELECT behavpred.drop_target('likes_5')})
	{
		(undef, $error) = timed_query($other, $statement);
		like($error, qr/ERROR:  target "likes_5" is being trained or dropped by another session/, $statement);
		like($error, qr/DETAIL:  Process $pid of role "\w+" has its lock since \d{4}-/, 'says which process');
		like($error, qr/HINT:  Wait for it, or stop it: SELECT pg_cancel_backend\($pid\)/, 'says what to do');
	}
	(undef, $error) = timed_query($other, q{SELECT behavpred.train_target('likes_6')});
	is($error, '', 'another target of the graph is trained meanwhile');
	($output, $error) = timed_query($other, q{SELECT behavpred.predict('likes_5', 1)});
	like($error, qr/has no deployed model/, 'the model is not seen before its transaction commits');
	$holder->query('COMMIT');
	($output, $error) = timed_query($other, q{SELECT behavpred.predict('likes_5', 1) BETWEEN 0 AND 1});
	is($output, 't', 'and is seen afterwards');
	($output, $error) = timed_query($other, q{SELECT version FROM behavpred.train_target('likes_5')});
	is($output, '2', 'the next training is the next version');
	$_->quit for $holder, $other;
}

# A training that is rolled back leaves nothing.
{
	my $before = model_digest($node, 'likes_5');

	$node->safe_psql('postgres', q{BEGIN; SELECT behavpred.train_target('likes_5', seed => 9); ROLLBACK});
	is(model_digest($node, 'likes_5'), $before, 'no model of a training that was rolled back');
}

# Which versions are deployed: the better one, unless something else is asked for.
{
	my $deployed = q{SELECT deployed_version FROM behavpred.targets WHERE target = 'likes_6'};
	my $train = sub { $node->safe_psql('postgres', "SELECT version, deployed FROM behavpred.train_target('likes_6', $_[0])") };

	is($train->(q{options => '{"deploy": "never"}'}), '2|f', 'never');
	# one that has hardly been trained
	is($train->(q{model => 'mlp', soft_weight => 0, options => '{"epochs": 1, "learning_rate": 0.000001}'}), '3|f',
		'a model that is not better is kept but not deployed');
	is($node->safe_psql('postgres', $deployed), '1', 'the better one answers');
	is($train->(q{seed => 1, options => '{"deploy": "always"}'}), '4|t', 'always');
	is($node->safe_psql('postgres', $deployed), '4', 'the new one answers');
	is($train->('seed => 1'), '5|t', 'one that is as good is deployed');
	$node->safe_psql('postgres', q{UPDATE behavpred.trained_model SET metrics = metrics || '{"auc": 1.1}' WHERE target = 'likes_6' AND version = 5});
	$node->safe_psql('postgres', q{SELECT behavpred.train_graph('shop', dimension => 8, factors => 2, epochs => 3)});
	is($train->('seed => 1'), '6|t', 'any model is better than one of an earlier training of the graph');
}

# Rows that a policy hides from the trainer are an error, also behind a view.
{
	my ($code, $output, $error);
	my $grants = join ', ', map { "behavpred.$_" } qw(create_graph train_graph create_target train_target);

	$node->safe_psql('postgres', qq{
		CREATE ROLE analyst LOGIN;
		CREATE ROLE keeper;
		GRANT CREATE ON SCHEMA public TO analyst, keeper;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred TO analyst;
		GRANT SELECT ON events TO analyst;
		CREATE TABLE members AS SELECT u AS user_id, u % 3 <> 0 AS open FROM generate_series(1, 400) u;
		ALTER TABLE members ENABLE ROW LEVEL SECURITY;
		CREATE POLICY open_only ON members USING (open);
		CREATE VIEW member_users AS SELECT user_id FROM members;
		ALTER TABLE members OWNER TO keeper;
		ALTER TABLE members FORCE ROW LEVEL SECURITY;
		ALTER VIEW member_users OWNER TO keeper;
		GRANT SELECT ON members, member_users TO analyst});
	my $analyst = sub { $node->psql('postgres', "SET ROLE analyst; SET client_min_messages = error; $_[0]") };

	$analyst->(q{
		SELECT behavpred.create_graph('own', 'events');
		SELECT behavpred.create_target('open', 'own', object => '5', candidates => 'member_users');
		SELECT behavpred.train_graph('own', dimension => 8, factors => 2, epochs => 1)});
	($code, $output, $error) = $analyst->(q{SELECT behavpred.create_target('direct', 'own', object => '5', candidates => 'members')});
	like($error, qr/ERROR:  row-level security would hide rows of "members"/, 'a table whose policy cuts rows');
	($code, $output, $error) = $analyst->(q{SELECT behavpred.train_target('open')});
	like($error, qr/ERROR:  query would be affected by row-level security policy for table "members"/, 'behind a view');
	like($error, qr/HINT:  Work as a role that may SELECT all rows/, 'says what to do');

	$analyst->(q{
		SELECT behavpred.drop_graph('own');
		SELECT behavpred.create_graph('own', 'events', row_security => 'apply');
		SELECT behavpred.create_target('open', 'own', object => '5', candidates => 'member_users');
		SELECT behavpred.train_graph('own', dimension => 8, factors => 2, epochs => 1)});
	($code, $output, $error) = $analyst->(q{SELECT n_positive + n_negative FROM behavpred.train_target('open')});
	is($output, '267', 'with row_security => apply the open members are the candidates');

	($code, $output, $error) = $analyst->(q{SELECT DISTINCT result ->> 'read_as', result ->> 'row_security' FROM behavpred.runs});
	is($output, 'analyst|apply', 'which the runs record');

	# somebody else's target
	($code, $output, $error) = $analyst->(q{SELECT behavpred.train_target('likes_5')});
	like($error, qr/ERROR:  target "likes_5" does not exist/, 'the target of another role is not seen');
	($code, $output, $error) = $analyst->(q{SELECT behavpred.create_target('likes_5', 'own', object => '5')});
	like($error, qr/ERROR:  target "likes_5" already exists/, 'but its name is taken');
	($code, $output, $error) = $node->psql('postgres', q{SELECT behavpred.train_target('open')});
	like($error, qr/ERROR:  target "open" is owned by "analyst"/, 'a superuser does not read the sources of another');
	like($error, qr/HINT:  SET ROLE analyst;/, 'says what to do');

	$node->safe_psql('postgres', 'CREATE ROLE guest');
	($code, $output, $error) = $node->psql('postgres', q{SET ROLE guest; SELECT behavpred.train_target('open')});
	like($error, qr/ERROR:  permission denied for function train_target/, 'training is granted by an administrator');
}

done_testing();
