-- evaluate() and the curves: against the aggregates on the same users, and against what happened.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
SELECT row_count FROM behavpred.demo_data('evaluate_test', users => 2000, objects => 150, events_per_user => 15, targets => 2, target_rate => 0.15)
WHERE relation = 'evaluate_test.users';
SET search_path = evaluate_test, public;
SELECT users_found > 1900 AS users FROM behavpred.create_graph('evaluated', 'events');
SELECT behavpred.create_target('t1', 'evaluated', object => '151'), behavpred.create_target('t2', 'evaluated', object => '152');
SELECT * FROM behavpred.evaluate('t1');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('evaluated', dimension => 8, factors => 2, epochs => 4);
CREATE TABLE first_training AS SELECT * FROM behavpred.train_target('t1');

-- The test part of the training: what train_target() said, now with intervals and baselines.
SELECT e.metric, e.at, abs(e.value - t.value) < 1e-6 AS as_trained, e.low <= e.value AND e.value <= e.high AS within,
       e.high > e.low OR e.value = 0 AS width, e.basis
FROM behavpred.evaluate('t1') e, first_training f,
     LATERAL (VALUES ('auc', f.auc), ('pr_auc', f.pr_auc), ('log_loss', f.log_loss), ('ece', f.ece), ('lift', f.lift_at_1pct)) AS t (metric, value)
WHERE e.metric = t.metric AND coalesce(e.at, 0.01) = 0.01 ORDER BY e.metric;
SELECT metric, at, n = (SELECT (metrics ->> 'test_positives')::int + (metrics ->> 'test_negatives')::int FROM behavpred.models WHERE target = 't1') AS n,
       positives = (SELECT test_positives FROM first_training) AS positives,
       abs(popularity - (SELECT activity_auc FROM first_training)) < 1e-6 AS popularity, round(prior::numeric, 3) AS prior
FROM behavpred.evaluate('t1', fractions => '{0.25}') WHERE metric IN ('auc', 'lift', 'gain') ORDER BY metric;
SELECT abs(prior - (SELECT (metrics ->> 'prior_log_loss')::float8 FROM behavpred.models WHERE target = 't1')) < 1e-6 AS prior
FROM behavpred.evaluate('t1') WHERE metric = 'log_loss';

-- Users and labels of one's own: the values are those of the aggregates over predict().
CREATE TABLE later AS SELECT user_id, happened AS label FROM target_user_truth WHERE target = 151 AND held_out;
CREATE TABLE by_hand AS
SELECT behavpred.auc(label, p), behavpred.pr_auc(label, p), behavpred.log_loss(label, p), behavpred.brier(label, p),
       behavpred.ece(label, p), behavpred.lift_at(label, p, 0.1) AS lift, behavpred.recall_at(label, p, 0.1) AS gain,
       behavpred.auc(label, degree) AS activity, count(*) AS n, count(*) FILTER (WHERE label) AS positives
FROM (SELECT label, behavpred.predict('t1', user_id) AS p, degree FROM later JOIN evaluated_user_embedding USING (user_id)) AS predicted;
SELECT e.metric, e.at, abs(e.value - (to_jsonb(h) ->> e.metric)::float8) < 1e-9 AS as_by_hand, e.low < e.value AND e.value < e.high AS within,
       e.n = h.n AS n, e.positives = h.positives AS positives, e.basis
FROM behavpred.evaluate('t1', 'later', fractions => '{0.1}') e, by_hand h;
SELECT abs(popularity - activity) < 1e-12 AS popularity, value > popularity + 0.1 AS far_above, low > 0.6 AS surely
FROM behavpred.evaluate('t1', 'later'), by_hand WHERE metric = 'auc';
-- DeLong's interval by its definition.
WITH scored AS MATERIALIZED (SELECT user_id, label, behavpred.predict('t1', user_id) AS s FROM later JOIN evaluated_user_embedding USING (user_id)),
pairs AS (SELECT p.user_id AS positive, n.user_id AS negative, CASE WHEN p.s > n.s THEN 1 WHEN p.s = n.s THEN 0.5 ELSE 0 END::float8 AS won
          FROM scored p JOIN scored n ON p.label AND NOT n.label),
parts AS (SELECT var_samp(place) / count(*) AS variance FROM (SELECT avg(won) AS place FROM pairs GROUP BY positive) AS x
          UNION ALL SELECT var_samp(place) / count(*) FROM (SELECT avg(won) AS place FROM pairs GROUP BY negative) AS x)
SELECT abs(e.high - e.value - 1.959963984540054 * sqrt((SELECT sum(variance) FROM parts))) < 1e-9 AS delong
FROM behavpred.evaluate('t1', 'later') e WHERE e.metric = 'auc';

-- The same seed and any number of threads give the same intervals, another seed others.
SELECT count(*) FILTER (WHERE a.low IS DISTINCT FROM b.low) AS two_threads, count(*) FILTER (WHERE a.low IS DISTINCT FROM c.low) > 0 AS other_seed
FROM behavpred.evaluate('t1') a JOIN behavpred.evaluate('t1', threads => 2) b USING (metric, n)
JOIN behavpred.evaluate('t1', seed => 7) c USING (metric, n) WHERE a.at IS NOT DISTINCT FROM b.at AND a.at IS NOT DISTINCT FROM c.at;

-- Integer labels, another column, NULLs and unknown users, one class.
RESET client_min_messages;
CREATE VIEW clicks AS SELECT user_id, happened::int AS clicked FROM target_user_truth WHERE target = 151 AND held_out
UNION ALL SELECT 100000 + i, 1 FROM generate_series(1, 3) i UNION ALL SELECT 1, NULL UNION ALL SELECT NULL, 1;
SELECT metric, abs(value - auc) < 1e-12 AS same, e.n = h.n AS n FROM behavpred.evaluate('t1', 'clicks', label_column => 'clicked') e, by_hand h WHERE metric = 'auc';
SET client_min_messages = warning;
CREATE VIEW nobody AS SELECT user_id, false AS label FROM later;
SELECT metric, value IS NULL AS no_value, low IS NULL AS no_interval, positives FROM behavpred.evaluate('t1', 'nobody', fractions => '{0.5}');
CREATE TABLE no_rows (user_id bigint, label boolean);
SELECT count(*) FROM behavpred.evaluate('t1', 'no_rows') WHERE value IS NULL AND low IS NULL AND prior IS NULL AND n = 0;

-- Versions keep their own test part, with the model.
SELECT version FROM behavpred.train_target('t1', model => 'mlp', hidden => '{4}', calibration => 'isotonic', seed => 5, options => '{"deploy": "never"}');
SELECT abs(e.value - (m.metrics ->> 'auc')::float8) < 1e-6 AS auc, e.metric
FROM behavpred.models m, behavpred.evaluate('t1', version => 2) e WHERE m.target = 't1' AND m.version = 2 AND e.metric = 'auc';
SELECT count(*), max(cardinality(logits)) = max(cardinality(interactions)) AS lengths FROM behavpred.held_out_score WHERE target = 't1';

-- Curves. ROC: from nobody to everybody, its area is the AUC.
SELECT count(*) > 20 AS points, min(fraction) AS from_nobody, round(max(true_positive_rate)::numeric, 9) AS all_positives,
       abs(sum(step * height) - (SELECT auc FROM first_training)) < 1e-6 AS area, bool_and(falls) AS threshold_falls
FROM (SELECT *, false_positive_rate - lag(false_positive_rate, 1, 0::float8) OVER w AS step,
             (true_positive_rate + lag(true_positive_rate, 1, 0::float8) OVER w) / 2 AS height,
             coalesce(threshold < lag(threshold) OVER w, true) AS falls
      FROM behavpred.roc_curve('t1', points => 100000) WINDOW w AS (ORDER BY fraction)) AS points;
SELECT count(*) <= 12 AS points FROM behavpred.roc_curve('t1', points => 10);
SELECT count(*) BETWEEN 4 AND 5 AS bins, sum(n) = (SELECT max(n) FROM behavpred.evaluate('t1')) AS all_cases, sum(positives) = (SELECT test_positives FROM first_training) AS positives,
       bool_and(low <= rate AND rate <= high) AS within, bool_and(rises) AS rises
FROM (SELECT *, coalesce(probability > lag(probability) OVER (ORDER BY bin), true) AS rises FROM behavpred.calibration_curve('t1', bins => 5)) AS bins;

-- Audiences: sizes rise, and with them all that is counted; probabilities and lift fall.
CREATE TABLE curve AS SELECT * FROM behavpred.audience_curve('t1');
SELECT count(*) > 8 AS points, bool_and(rises) AS rises, bool_and(falls) AS falls, max(fraction) AS whole, round(max(recall)::numeric, 9) AS recall
FROM (SELECT *, coalesce(expected_positives > lag(expected_positives) OVER w AND recall > lag(recall) OVER w, true) AS rises,
             coalesce(threshold <= lag(threshold) OVER w AND lift <= lag(lift) OVER w, true) AS falls
      FROM curve WINDOW w AS (ORDER BY size)) AS points;
-- They are those that audience() chooses.
SELECT c.size, abs(sum(a.probability) - c.expected_positives) < 1e-9 AS expected, min(a.probability) = c.threshold AS threshold,
       abs(avg(a.lift) - c.lift) < 1e-9 AS lift
FROM (SELECT * FROM curve WHERE fraction BETWEEN 0.04 AND 0.3) AS c, LATERAL behavpred.audience('t1', size => c.size) a
GROUP BY c.size, c.expected_positives, c.threshold, c.lift ORDER BY c.size;
-- What is expected lies within what the test part shows, for the larger audiences.
SELECT bool_and(expected_positives BETWEEN positives_low AND positives_high) AS expected_within,
       bool_and(lift BETWEEN lift_low AND lift_high) AS lift_within
FROM curve WHERE fraction >= 0.05;
SELECT count(*) AS few, max(size) = (SELECT count(*) FROM evaluated_user_embedding) AS known_as_well
FROM behavpred.audience_curve('t1', fractions => '{1,0.5,0.5}', exclude_known => false);

-- A model without held-out scores, as from version 0.1: said, and no interval.
DELETE FROM behavpred.held_out_score WHERE target = 't1' AND version = 1;
RESET client_min_messages;
SELECT * FROM behavpred.evaluate('t1');
SELECT count(*) > 8 AS points, count(positives_low) AS intervals FROM behavpred.audience_curve('t1');
SET client_min_messages = warning;

-- What cannot be is refused.
SELECT * FROM behavpred.evaluate('t2');
SELECT * FROM behavpred.evaluate('no_such_target');
SELECT * FROM behavpred.evaluate(NULL);
SELECT * FROM behavpred.evaluate('t1', version => 9);
SELECT * FROM behavpred.evaluate('t1', version => 0);
SET client_min_messages = notice;
CREATE VIEW not_yet AS SELECT user_id, NULL::boolean AS label FROM later;
SELECT metric, value, n FROM behavpred.evaluate('t1', 'not_yet') WHERE metric = 'auc';
DROP VIEW not_yet;
SET client_min_messages = warning;
SELECT * FROM behavpred.evaluate('t1', 'later', version => 1);
SELECT * FROM behavpred.evaluate('t1', 'later', label_column => 'labels');
SELECT * FROM behavpred.evaluate('t1', 'target_user_truth', label_column => 'probability');
SELECT * FROM behavpred.evaluate('t1', 'objects');
CREATE VIEW counted AS SELECT user_id, 2 AS label FROM later;
SELECT * FROM behavpred.evaluate('t1', 'counted');
SELECT * FROM behavpred.evaluate('t1', fractions => '{0.1,1.5}');
SELECT * FROM behavpred.evaluate('t1', fractions => '{0.1,NULL}');
SELECT * FROM behavpred.evaluate('t1', threads => 0);
SELECT * FROM behavpred.roc_curve('t1', points => 0);
SELECT * FROM behavpred.calibration_curve('t1', bins => -1);
SELECT * FROM behavpred.audience_curve(NULL);
UPDATE behavpred.held_out_score SET interactions = '{1}' WHERE target = 't1';
SELECT * FROM behavpred.evaluate('t1', version => 2);
-- The scores go with the model.
SELECT behavpred.drop_target('t1');
SELECT count(*) FROM behavpred.held_out_score;
SELECT behavpred.drop_graph('evaluated');
DROP SCHEMA evaluate_test CASCADE;
