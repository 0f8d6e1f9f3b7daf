# A dump carries graphs, vectors, targets and models: predictions of the restored
# database are equal to the bit.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('dump');
my $predictions = q{
	SELECT md5(string_agg(float8send(behavpred.predict('campaign', user_id)), '' ORDER BY user_id))
	FROM demo.users};

my $network = q{SELECT count(*), md5(string_agg(kind || part || md5(data), '' ORDER BY kind, part)) FROM behavpred.trained_network_part};

make_graph($node, 'users => 1500, objects => 150, targets => 1');
$node->safe_psql('postgres', q{
	SELECT behavpred.train_graph('demo', epochs => 2);
	SELECT behavpred.create_target('campaign', 'demo', object => '151');
	SELECT behavpred.train_target('campaign');
	SELECT behavpred.capture_changes('demo');
	SELECT behavpred.create_graph('featured', 'demo.events', users => 'demo.users', objects => 'demo.objects');
	SELECT behavpred.capture_changes('featured')});
my $before = $node->safe_psql('postgres', $predictions);
my $network_before = $node->safe_psql('postgres', $network);

foreach my $format ('plain', 'custom')
{
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$format.dump";

	$node->command_ok([ 'pg_dump', "--format=$format", "--file=$file", 'postgres' ], "$format: dumped");
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	if ($format eq 'plain')
	{
		$node->command_ok([ 'psql', '-q', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $file, $format ], "$format: restored");
	}
	else
	{
		$node->command_ok([ 'pg_restore', '--exit-on-error', "--dbname=$format", $file ], "$format: restored");
	}
	is($node->safe_psql($format, $predictions), $before, "$format: the same predictions");
	is(embedding_digest($node, 'demo', $format), embedding_digest($node, 'demo'), "$format: the same vectors");
	is($node->safe_psql($format, $network), $network_before, "$format: the same network");
	is(model_digest($node, 'campaign', $format), model_digest($node, 'campaign'), "$format: the same model");
	$node->safe_psql($format, q{INSERT INTO demo.events SELECT 1000000, 7, 8, 'purchase', 1, now()});
	$node->safe_psql($format, q{UPDATE demo.users SET age = age + 1 WHERE user_id IN (8, 9)});
	$node->safe_psql($format, q{DELETE FROM demo.objects WHERE object_id = 9});
	is($node->safe_psql($format, q{SELECT users, objects, uncaptured FROM behavpred.freshness ORDER BY graph}), "1|1|{}\n3|2|{}",
		"$format: changes are captured, those of features as well");
	is($node->safe_psql($format, q{SELECT version FROM behavpred.train_target('campaign')}), '2',
		"$format: training goes on with the next version");
	is($node->safe_psql($format, q{SELECT count(*) FROM behavpred.train_graph('demo', epochs => 1)}), '1',
		"$format: the graph can be trained again");
}
$node->safe_psql('plain', 'DROP EXTENSION behavpred CASCADE');
is($node->safe_psql('plain', q{SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}), '0', 'triggers go with the extension');

done_testing();
