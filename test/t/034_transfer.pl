# Models from server to server: export_model() and import_model(), what fits and what is
# refused; bytes that somebody has changed.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('transfer');
my $predictions = q{
	SELECT md5(string_agg(float8send(behavpred.predict('campaign', user_id)), '' ORDER BY user_id)) FROM demo.users};

make_graph($node, 'users => 800, objects => 80, targets => 1');
$node->safe_psql('postgres', q{
	SELECT behavpred.create_target('campaign', 'demo', object => '81');
	SELECT behavpred.train_graph('demo', dimension => 16, epochs => 2);
	SELECT behavpred.train_target('campaign', model => 'mlp', hidden => '{4}', calibration => 'isotonic')});

# Another server with a copy of the database: other OIDs, and other numbers of runs to come.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/transfer.dump';
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', 'fsync = off');
$other->start;
$node->command_ok([ 'pg_dump', "--file=$dump", 'postgres' ], 'dumped');
$other->safe_psql('postgres', 'CREATE TABLE before_all (n int); CREATE DATABASE copy');
$other->command_ok([ 'psql', '-q', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'copy' ], 'restored');

# A new version is made here and taken in there.
$node->safe_psql('postgres', q{SELECT behavpred.train_target('campaign', seed => 5, soft_weight => 0.2, options => '{"deploy": "always"}')});
$other->safe_psql('copy', q{SELECT behavpred.train_target('campaign', seed => 9, options => '{"deploy": "never"}')});

my $hex = $node->safe_psql('postgres', q{SELECT behavpred.export_model('campaign')});
my $import = sub {
	my ($database, $bytes, $arguments) = @_;
	my (undef, $output, $error) = $other->psql($database, "SELECT behavpred.import_model('campaign', '$bytes'" . ($arguments // '') . ')');

	return wantarray ? ($output, $error) : $output;
};

isnt($other->safe_psql('copy', $predictions), $node->safe_psql('postgres', $predictions), 'before: two models');
is($import->('copy', $hex), '3', 'the model is taken in as the next version');
is($other->safe_psql('copy', $predictions), $node->safe_psql('postgres', $predictions), 'after: the same predictions to the bit');
is($other->safe_psql('copy', q{SELECT metrics FROM behavpred.models WHERE version = 3}),
	$node->safe_psql('postgres', q{SELECT metrics FROM behavpred.models WHERE version = 2}), 'its quality came along');
is($other->safe_psql('copy', q{SELECT options ->> 'imported', options ->> 'same_training', options ->> 'version' FROM behavpred.runs WHERE version = 3}),
	'true|true|2', 'its run tells where it is from');
is($import->('copy', $hex, ', deploy => false'), '4', 'without being deployed');
is($other->safe_psql('copy', q{SELECT deployed_version FROM behavpred.targets}), '3', 'the one before answers still');
is($other->safe_psql('copy', q{SELECT behavpred.export_model('campaign', 4) IS NOT NULL}), 't', 'it can be exported again');

# What does not fit says why.
{
	my ($output, $error);

	$other->safe_psql('postgres', 'CREATE EXTENSION behavpred');
	make_graph($other, 'users => 800, objects => 80, targets => 1');
	$other->safe_psql('postgres', q{SELECT behavpred.create_target('campaign', 'demo', object => '81')});
	($output, $error) = $import->('postgres', $hex);
	like($error, qr/ERROR:  graph "demo" has no embeddings/, 'a graph without vectors');
	$other->safe_psql('postgres', q{SELECT behavpred.train_graph('demo', dimension => 8, epochs => 1)});
	($output, $error) = $import->('postgres', $hex, ', other_run => true');
	like($error, qr/ERROR:  the model is for vectors of \d+ numbers, those of graph "demo" have \d+/, 'another dimension');
	like($error, qr/DETAIL:  It is version 2 of target "campaign" of graph "demo" on the server that exported it/, 'says what it is');
	$other->safe_psql('postgres', q{SELECT behavpred.train_graph('demo', dimension => 16, epochs => 2)});
	($output, $error) = $import->('postgres', $hex);
	like($error, qr/ERROR:  the model does not fit the present embeddings of graph "demo"/, 'another training');
	like($error, qr/HINT:  .*other_run => true/, 'says how to override');
	is($import->('postgres', $hex, ', other_run => true'), '1', 'which works');
	is($other->safe_psql('postgres', q{SELECT behavpred.predict('campaign', 1) BETWEEN 0 AND 1}), 't', 'and predicts');

	foreach my $call (
		[ q{export_model('nothing')}, 'target "nothing" does not exist' ],
		[ q{export_model(NULL)}, 'target must not be NULL' ],
		[ q{export_model('campaign', 77)}, 'target "campaign" has no version 77' ],
		[ q{import_model('campaign', NULL)}, 'exported must not be NULL' ],
		[ q{import_model('nothing', 'x')}, 'target "nothing" does not exist' ])
	{
		(undef, undef, $error) = $other->psql('postgres', "SELECT behavpred.$call->[0]");
		like($error, qr/ERROR:  \Q$call->[1]\E/, $call->[0]);
	}
}

# Bytes that are cut or changed, one at a time, and numbers with their high byte first:
# refused as corrupt, and the server stands.
{
	my $bytes = pack('H*', substr($hex, 2));
	my %changed = (
		'nothing'           => '',
		'no model'          => 'BPX1' . "\0" x 40,
		'a model, not an export' => pack('H*', substr($node->safe_psql('postgres', q{SELECT model::text FROM behavpred.trained_model WHERE version = 1}), 2)),
		'high bytes first'  => join('', substr($bytes, 0, 4), map { scalar reverse $_ } unpack('(a4)*', substr($bytes, 4))),
		'another version'   => substr($bytes, 0, 4) . "\2" . substr($bytes, 5),
		'something behind'  => $bytes . 'x');

	$changed{"cut at $_"} = substr($bytes, 0, $_) foreach 4, 15, 16, 50, 100, length($bytes) - 1;
	foreach my $place (0, 5, 9, 13, 20, 60, 80, 200, length($bytes) - 1)
	{
		$changed{"changed at $place"} = $bytes;
		substr($changed{"changed at $place"}, $place, 1) ^= "\x10";
	}
	foreach my $what (sort keys %changed)
	{
		my $state = $other->safe_psql('copy', sprintf(q{
			DO $$ BEGIN PERFORM behavpred.import_model('campaign', '\x%s'); RAISE 'taken'; EXCEPTION WHEN OTHERS THEN
			  PERFORM set_config('test.state', SQLSTATE, false); END $$;
			SELECT current_setting('test.state')}, unpack('H*', $changed{$what})));

		is($state, 'XX001', "$what is refused as corrupt");
	}
	is($other->safe_psql('copy', q{SELECT max(version) FROM behavpred.models}), '4', 'nothing was taken in');
}

foreach my $server ($node, $other)
{
	unlike(slurp_file($server->logfile), qr/was terminated by signal|PANIC|TRAP/, 'no process crashed');
}

done_testing();
