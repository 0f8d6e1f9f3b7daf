# Probabilities against the planted truth, at the true class ratio: targets are trained among
# one half of the users, and asked about the other half, whose acts no training has seen.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('calibration', 'shared_buffers = 128MB');

$node->safe_psql('postgres', q{
	SELECT behavpred.demo_data('demo', users => 8000, objects => 500, targets => 8);
	CREATE TABLE known AS SELECT user_id FROM demo.user_truth WHERE NOT held_out;
	SELECT behavpred.create_graph('demo', 'demo.events', behavior_column => 'kind',
		behaviors => (SELECT array_agg(DISTINCT kind) FROM demo.events WHERE kind <> 'impression'));
	SELECT behavpred.create_target('t' || o, 'demo', object => o::text, candidates => 'known') FROM generate_series(501, 508) o;
	SELECT behavpred.train_graph('demo', dimension => 32, epochs => 8, threads => 2);
	CREATE FUNCTION measured(OUT ece float8, OUT bias float8) LANGUAGE sql AS $$
		SELECT avg(e), avg(abs(predicted - happened))
		FROM (SELECT behavpred.ece(happened, p) AS e, avg(p) AS predicted, avg(happened::int) AS happened
			FROM (SELECT target, happened, behavpred.predict('t' || target, user_id) AS p
				FROM demo.target_user_truth WHERE held_out) AS asked
			WHERE p IS NOT NULL GROUP BY target) AS of_target $$});

my %most = (platt => 0.02, isotonic => 0.02);

foreach my $calibration (sort keys %most)
{
	is($node->safe_psql('postgres', qq{SELECT count(*), count(error), min(test_basis)
		FROM behavpred.train_targets('demo', calibration => '$calibration', options => '{"deploy": "always"}')}),
		'8|0|unseen', "$calibration: trained");
	my ($ece, $bias) = split /\|/, $node->safe_psql('postgres', 'SELECT * FROM measured()');
	cmp_ok($ece, '<', $most{$calibration}, "$calibration: expected calibration error $ece");
	cmp_ok($bias, '<', 0.01, "$calibration: mean probability off by $bias");
}

# The mean over users whose vectors have not seen the answer is the candidates' rate of positives.
cmp_ok($node->safe_psql('postgres', q{
	SELECT avg(abs(p / rate - 1)) FROM (
		SELECT avg(behavpred.predict('t' || t.target, user_id)) AS p, min((m.metrics ->> 'base_rate')::float8) AS rate
		FROM demo.target_user_truth t JOIN behavpred.models m ON m.target = 't' || t.target AND m.deployed
		WHERE held_out GROUP BY t.target) AS of_target}),
	'<', 0.1, 'the mean probability is the rate of positives');

done_testing();
