# Models in use: what another session deploys, a read-only standby, and models as files.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('use');

$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "fsync = off\nmax_connections = 20");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION behavpred');
make_graph($node, 'users => 1000, objects => 100, targets => 1');
$node->safe_psql('postgres', q{
	SELECT behavpred.train_graph('demo', dimension => 16, epochs => 2);
	SELECT behavpred.create_target('campaign', 'demo', object => '101');
	SELECT behavpred.train_target('campaign');
	SELECT behavpred.train_target('campaign', model => 'mlp', options => '{"deploy": "never"}');
	CREATE TABLE one_user AS SELECT min(user_id) AS user_id FROM demo_user_embedding});

# predict() by hand, with the version that is deployed.
my $by_hand = q{
	SELECT behavpred.score(m.model, e.embedding)
	FROM behavpred.targets t JOIN behavpred.trained_model m ON m.target = t.target AND m.version = t.deployed_version,
	     one_user u JOIN demo_user_embedding e ON e.user_id = u.user_id
	WHERE t.target = 'campaign'};
my $predict = q{SELECT behavpred.predict('campaign', user_id) FROM one_user};
my $deploy = sub {
	my ($version) = @_;

	$node->safe_psql('postgres', "UPDATE behavpred.registered_target SET deployed_version = $version WHERE target = 'campaign'");
};

# A session that has predicted sees a deployment in its next statement, but never in the
# middle of a snapshot.
{
	my $session = open_session($node);
	my ($first, $error) = timed_query($session, $predict);
	my $second;

	is($error, '', 'a session predicts');
	is($first, $node->safe_psql('postgres', $by_hand), 'with the deployed version');
	$session->query(qq{PREPARE prepared AS $predict});
	is($session->query('EXECUTE prepared'), $first, 'a prepared statement does, too');

	$deploy->(2);
	$second = $node->safe_psql('postgres', $by_hand);
	isnt($second, $first, 'the versions differ');
	is($session->query('EXECUTE prepared'), $second, 'the next EXECUTE uses what another session has deployed');
	is($session->query($predict), $second, 'the next statement does');

	$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($session->query($predict), $second, 'a snapshot is taken');
	$deploy->(1);
	is($session->query($predict), $second, 'under it nothing changes');
	$session->query('COMMIT');
	is($session->query($predict), $first, 'after it the new version is used');
	$session->quit;
}

# What a session remembers of a target ends with the grant, with a policy that has changed, and
# with rows that stand elsewhere.
{
	my $session = open_session($node);
	my $owner = open_session($node);
	my $grant = q{SELECT behavpred.grant_on('target', 'campaign', 'predict', 'marketer')};
	my $predicts = sub { my ($value, $error) = timed_query($session, $predict); return $error eq '' ? $value : $error };

	$node->safe_psql('postgres', "CREATE ROLE marketer; GRANT SELECT ON one_user TO marketer; $grant");
	$session->query('SET ROLE marketer');
	my $first = $predicts->();
	is($first, $owner->query($predict), 'a grantee predicts what the owner does');
	is($predicts->(), $first, 'and again');

	$node->safe_psql('postgres', q{SELECT behavpred.revoke_on('target', 'campaign', 'predict', 'marketer')});
	like($predicts->(), qr/target "campaign" does not exist/, 'not without the grant');
	is($owner->query($predict), $first, 'while the owner does');
	$node->safe_psql('postgres', $grant);
	is($predicts->(), $first, 'with the grant again');

	$node->safe_psql('postgres', 'ALTER POLICY granted_rows ON behavpred.trained_model USING (false)');
	like($predicts->(), qr/target "campaign" has no deployed model/, 'not under another policy');
	$node->safe_psql('postgres', 'ALTER POLICY granted_rows ON behavpred.trained_model USING (behavpred_internal.privilege_on_target(owner, target) >= 1)');
	is($predicts->(), $first, 'under the old one');

	$session->query('SET row_security = off');
	like($predicts->(), qr/affected by row-level security/, 'nor with row_security off');
	$session->query('RESET row_security');
	$node->safe_psql('postgres', 'VACUUM FULL behavpred.registered_target', on_error_stop => 1);
	$node->safe_psql('postgres', 'VACUUM FULL behavpred.trained_model', on_error_stop => 1);
	is($predicts->(), $first, 'from rows that have moved');
	$node->safe_psql('postgres', 'ALTER TABLE demo_user_embedding RENAME TO elsewhere');
	like($predicts->(), qr/embeddings of target "campaign" are gone/, 'not without the embeddings');
	$node->safe_psql('postgres', 'ALTER TABLE elsewhere RENAME TO demo_user_embedding');
	$session->quit;
	$owner->quit;
	$node->safe_psql('postgres', q{SELECT behavpred.revoke_on('target', 'campaign', 'predict', 'marketer'); DROP OWNED BY marketer; DROP ROLE marketer});
}

# A cursor holds its snapshot and its version while others deploy.
{
	my $session = open_session($node);

	$session->query('BEGIN');
	$session->query(q{DECLARE users CURSOR FOR SELECT behavpred.predict('campaign', user_id) FROM one_user, generate_series(1, 2)});
	my $before = $session->query('FETCH 1 FROM users');
	$deploy->(2);
	isnt($session->query($predict), $before, 'the transaction sees the deployment');
	is($session->query('FETCH 1 FROM users'), $before, 'its open cursor does not');
	$session->query('COMMIT');
	$session->quit;
	$deploy->(1);
}

# Everything that only reads works on a standby, where a deployment arrives as well.
{
	$node->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	$node->wait_for_catchup($standby);

	my $session = open_session($standby);
	my @queries = (
		$predict,
		q{SELECT md5(string_agg(a::text, ' ')) FROM behavpred.audience('campaign', 50) a},
		q{SELECT md5(string_agg(r::text, ' ')) FROM one_user, LATERAL behavpred.recommend('demo', user_id) r},
		q{SELECT behavpred.embedding('demo', user_id) FROM one_user});

	foreach my $query (@queries)
	{
		my ($output, $error) = timed_query($session, $query);

		is($error, '', "on the standby: $query");
		is($output, $node->safe_psql('postgres', $query), 'as on the primary');
	}
	my $before = $session->query($predict);
	$deploy->(2);
	$node->wait_for_catchup($standby);
	is($session->query($predict), $node->safe_psql('postgres', $predict), 'the standby follows a deployment');
	isnt($session->query($predict), $before, 'which changed the prediction');

	my (undef, $error) = timed_query($session, q{SELECT behavpred.audience_into('campaign', 'on_standby', 5)});
	like($error, qr/read-only transaction|recovery is in progress/, 'audience_into() says that it cannot write there');
	$session->quit;
	$standby->stop;
}

# Models as binary files: the same bytes back; a changed byte is refused.
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/model.bin';

	$node->safe_psql('postgres', qq{
		\\copy (SELECT model FROM behavpred.trained_model WHERE version = 2) TO '$file' (FORMAT binary)
		CREATE TABLE copied (model behavpred.model);
		\\copy copied FROM '$file' (FORMAT binary)});
	is($node->safe_psql('postgres', q{
			SELECT behavpred_internal.model_send(c.model) = behavpred_internal.model_send(m.model)
			FROM copied c, behavpred.trained_model m WHERE m.version = 2}),
		't', 'a model goes through a binary file unchanged');

	my $bytes = slurp_file($file);
	substr($bytes, length($bytes) / 2, 1) ^= "\x01";
	open(my $out, '>:raw', $file) or die "could not write $file: $!";
	print $out $bytes;
	close($out);
	my (undef, undef, $error) = $node->psql('postgres', "\\copy copied FROM '$file' (FORMAT binary)");
	like($error, qr/ERROR:  reading a model met stored bytes that do not decode/, 'with one changed bit it is refused');
}

unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC|TRAP/, 'no process crashed');

done_testing();
