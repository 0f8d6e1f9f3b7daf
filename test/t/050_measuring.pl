# What the pages say of measuring, explaining and neighbours runs as it stands there; test
# parts go with a dump; and who may see which figures.
use strict;
use warnings;

use BehavpredTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('measuring');

make_graph($node, 'users => 1000, objects => 100, targets => 1, events_per_user => 15');
$node->safe_psql('postgres', q{
	SET client_min_messages = error;
	SELECT behavpred.create_graph('shop', 'demo.events');
	SELECT behavpred.create_target('buys_42', 'shop', object => '101');
	SELECT behavpred.train_graph('shop', dimension => 16, epochs => 2);
	SELECT behavpred.train_target('buys_42');
	CREATE TABLE bought_since AS SELECT user_id, happened AS label FROM demo.target_user_truth WHERE held_out;
	CREATE TABLE my_experiment AS
	SELECT user_id % 2 AS version, happened AS clicked, probability AS score FROM demo.target_user_truth});

# The statements of a section, without their remarks.
sub statements_of
{
	my ($page, $section) = @_;
	my ($text) = source_file($page) =~ /^## \Q$section\E\n(.*?)(?=^## |\z)/ms;
	my @blocks = $text =~ /^```sql\n(.*?)^```/msg;

	return grep { /\S/ } map { s/--.*$//mgr =~ s/^\s+|\s+$//gr } map { split /;/ } @blocks;
}

foreach my $section ([ 'doc/targets.md', 'Measuring', 6 ], [ 'doc/targets.md', 'Explaining', 1 ],
	[ 'doc/quickstart.md', 'What else the vectors are good for', 4 ])
{
	my ($page, $title, $least) = @$section;
	my @statements = statements_of($page, $title);

	cmp_ok(scalar @statements, '>=', $least, "$page has statements on: $title");
	foreach my $statement (@statements)
	{
		my ($code, $output, $error) = $node->psql('postgres', "SET client_min_messages = error; $statement");

		is($code, 0, "runs: $statement") or diag($error);
		isnt($output, '', 'has rows') unless $statement =~ /CREATE TABLE/;
	}
}

# A dump carries the test parts.
my $figures = q{SELECT metric, at, value, low, high, n FROM behavpred.evaluate('buys_42')};
my $file = "$PostgreSQL::Test::Utils::tmp_check/measuring.dump";

$node->command_ok([ 'pg_dump', '--format=custom', "--file=$file", 'postgres' ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname=restored', $file ], 'restored');
is($node->safe_psql('restored', $figures), $node->safe_psql('postgres', $figures), 'the same figures');

# Who may predict measures on labels of his own; the test part is for readers.
$node->safe_psql('postgres', q{
	CREATE ROLE predictor;
	CREATE ROLE reader;
	CREATE ROLE stranger;
	GRANT SELECT ON bought_since, demo.events TO PUBLIC;
	GRANT USAGE ON SCHEMA demo TO PUBLIC;
	SELECT behavpred.grant_on('target', 'buys_42', 'predict', 'predictor', embeddings => true);
	SELECT behavpred.grant_on('target', 'buys_42', 'read', 'reader', embeddings => true)});

sub as_role
{
	my ($role, $query) = @_;
	my ($code, $output, $error) = $node->psql('postgres', "SET client_min_messages = error; SET ROLE $role; $query");

	return $code == 0 ? $output : $error;
}

my $on_labels = q{SELECT count(value) > 5 FROM behavpred.evaluate('buys_42', 'bought_since')};
my $on_test_part = q{SELECT count(value) > 5 FROM behavpred.evaluate('buys_42')};

is(as_role('predictor', $on_labels), 't', 'predict: labels of his own');
like(as_role('predictor', $on_test_part), qr/no held-out scores of version 1 of target "buys_42" were kept/,
	'predict: not the test part');
is(as_role('reader', $on_labels), 't', 'read: labels of his own');
is(as_role('reader', $on_test_part), 't', 'read: the test part');
is(as_role('reader', q{SELECT count(*) > 5 FROM behavpred.audience_curve('buys_42')}), 't', 'read: the curve');
is(as_role('predictor', q{SELECT count(*) > 4 FROM behavpred.explain('buys_42', 7, interactions => 0)}), 't',
	'predict: factors');
like(as_role('predictor', q{SELECT count(*) FROM behavpred.explain('buys_42', 7)}),
	qr/ERROR:/, 'predict: not the interactions, which are read from the source');
is(as_role('reader', q{SELECT count(*) > 5 FROM behavpred.explain('buys_42', 7)}), 't', 'read: the interactions as well');
like(as_role('stranger', $on_test_part), qr/target "buys_42" does not exist/, 'others: nothing');
like(as_role('stranger', q{SELECT * FROM behavpred.recommend_all('shop')}), qr/permission denied for function recommend_all/,
	'recommend_all is granted by an administrator');
is(as_role('stranger', q{SELECT count(*) FROM behavpred.held_out_score}), '0', 'others see no test part');

done_testing();
