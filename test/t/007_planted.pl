# Quality on planted data, against the best that the planted truth allows: the student
# on users whose acts were hidden, routing on the factor that caused each event.
use strict;
use warnings;

use BehavpredTest;
use Test::More;

my $node = start_node('planted', "shared_buffers = 256MB\nwork_mem = 64MB");
my $session = open_session($node);

make_graph($node, 'users => 12000, objects => 1000, targets => 2, events_per_user => 60, target_rate => 0.1');

# Area under the ROC curve by ranks, ties counting half.
$session->query(q{
	CREATE FUNCTION auc_of(query text) RETURNS float8 LANGUAGE plpgsql AS $$
	DECLARE result float8;
	BEGIN
		EXECUTE format('
			WITH ranked AS (
				SELECT happened, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS rank
				FROM (%s) AS cases
			)
			SELECT (sum(rank) FILTER (WHERE happened) - n * (n + 1) / 2.0) / (n * (count(*) - n))
			FROM ranked, (SELECT count(*)::float8 AS n FROM ranked WHERE happened) AS positives GROUP BY n', query) INTO result;
		RETURN result;
	END $$});

# Factor that a trained network gives an edge: the subspace in which user and object are
# most alike. Agreement with the planted factor under the best one-to-one naming.
$session->query(q{
	CREATE FUNCTION recovered_factors() RETURNS float8 LANGUAGE sql AS $$
	WITH edges AS (
		SELECT t.factor, (SELECT s FROM generate_series(0, 3) AS s
			ORDER BY behavpred.cosine(u.embedding[s * 16 + 1 : s * 16 + 16], o.embedding[s * 16 + 1 : s * 16 + 16]) DESC LIMIT 1) AS subspace
		FROM demo.event_truth t JOIN demo_user_embedding u USING (user_id) JOIN demo_object_embedding o USING (object_id)
		WHERE t.factor IS NOT NULL AND t.object_id <= 1000 AND t.event_id % 20 = 0
	), counts AS (
		SELECT factor, subspace, count(*) AS n FROM edges GROUP BY factor, subspace
	)
	SELECT max(a.n + b.n + c.n + d.n) / (SELECT count(*) FROM edges)::float8
	FROM counts a, counts b, counts c, counts d
	WHERE (a.factor, b.factor, c.factor, d.factor) = (1, 2, 3, 4)
		AND (SELECT count(DISTINCT s) FROM unnest(ARRAY[a.subspace, b.subspace, c.subspace, d.subspace]) AS s) = 4 $$});

foreach my $routing ('own_centre', 'each_centre')
{
	my (undef, $error) = timed_query($session, qq{
		SELECT behavpred.train_graph('demo', threads => 2, seed => 1, options => '{"routing": "$routing"}')});
	is($error, '', "$routing: trained");
	my $share = $session->query('SELECT round(recovered_factors()::numeric, 3)');
	note "$routing: the planted factor of $share of the events is recovered, chance is about 0.25";
	cmp_ok($share, '>', 0.4, "$routing: factors are recovered clearly above chance ($share)");
}

foreach my $target (1001, 1002)
{
	$session->query(qq{SELECT behavpred.create_target('t$target', 'demo', object => '$target')});
	my (undef, $error) = timed_query($session, qq{SELECT behavpred.train_target('t$target')});
	is($error, '', "target $target: trained");

	my $positives = $session->query(qq{
		SELECT count(*) FROM demo.target_user_truth WHERE target = $target AND held_out AND happened});
	my %score = (
		best => 'probability',
		student => "behavpred.predict('t$target', user_id)",
		activity => "(SELECT degree FROM demo_user_embedding e WHERE e.user_id = t.user_id)");
	my %auc = map {
		$_ => $session->query(qq{
			SELECT auc_of(\$query\$ SELECT happened, $score{$_} AS score FROM demo.target_user_truth t
				WHERE target = $target AND held_out \$query\$)})
	} keys %score;

	note "target $target: AUC of the planted probability $auc{best}, student $auc{student}, activity $auc{activity}";
	cmp_ok($positives, '>=', 500, "target $target: enough held-out positives ($positives)");
	cmp_ok($auc{student}, '>', $auc{best} - 0.02, "target $target: the student is within 0.02 of the best possible");
	cmp_ok($auc{student}, '>', $auc{activity} + 0.2, "target $target: and far above activity");
}
$session->quit;

done_testing();
