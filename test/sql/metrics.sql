-- Metrics as aggregates, against the same computed from their definitions in plain SQL.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE SCHEMA metrics_test;
SET search_path = metrics_test, public;

-- 2,000 cases in 8 groups, with ties (301 different scores), probabilities that are a little off.
CREATE TABLE cases AS
SELECT i, i % 8 AS part, score, abs(hashint8extended(i, 2)) % 1000 < 1000 * score * score AS label
FROM (SELECT i, abs(hashint8extended(i, 1)) % 301 / 300.0::float8 AS score FROM generate_series(1, 2000) i) AS drawn;

CREATE VIEW auc_by_hand AS
SELECT p.part, avg(CASE WHEN p.score > n.score THEN 1 WHEN p.score = n.score THEN 0.5 ELSE 0 END)::float8 AS auc
FROM cases p JOIN cases n ON p.label AND NOT n.label AND p.part = n.part GROUP BY p.part;
CREATE VIEW pr_auc_by_hand AS
SELECT part, avg(precision) AS pr_auc
FROM (SELECT p.part, p.i, avg(a.label::int)::float8 AS precision
      FROM cases p JOIN cases a ON p.label AND p.part = a.part AND a.score >= p.score GROUP BY p.part, p.i) AS steps
GROUP BY part;
SELECT count(*) AS parts, max(abs(c.auc - a.auc)) < 1e-12 AS auc, max(abs(c.pr_auc - p.pr_auc)) < 1e-12 AS pr_auc,
       max(abs(c.log_loss - by_hand.log_loss)) < 1e-12 AS log_loss, max(abs(c.brier - by_hand.brier)) < 1e-12 AS brier
FROM (SELECT part, behavpred.auc(label, score), behavpred.pr_auc(label, score), behavpred.log_loss(label, score),
             behavpred.brier(label, score) FROM cases GROUP BY part) AS c
JOIN auc_by_hand a USING (part) JOIN pr_auc_by_hand p USING (part)
JOIN (SELECT part, avg(-ln(least(greatest(CASE WHEN label THEN score ELSE 1 - score END, 1e-15), 1 - 1e-15))) AS log_loss,
             avg((score - label::int) ^ 2) AS brier FROM cases GROUP BY part) AS by_hand USING (part);

-- The top: with different scores the order is one, and the definitions are short.
CREATE TABLE ranked AS SELECT i, row_number() OVER (ORDER BY score DESC, i) AS place, label FROM cases;
SELECT k, abs(behavpred.recall_at(label, -place, k) - recall) < 1e-12 AS recall,
       abs(behavpred.precision_at(label, -place, k) - precision) < 1e-12 AS precision,
       abs(behavpred.lift_at(label, -place, k) - precision / rate) < 1e-9 AS lift,
       abs(behavpred.lift_at(label, -place, k / 2000.0) - precision / rate) < 1e-9 AS lift_of_fraction,
       abs(behavpred.recall_at(label, -place, k / 2000.0) - recall) < 1e-12 AS recall_of_fraction,
       abs(behavpred.ndcg_at(label, -place, k) - gain / ideal) < 1e-12 AS ndcg
FROM (VALUES (1), (10), (333), (2000)) AS v (k), ranked,
     LATERAL (SELECT sum(label::int) FILTER (WHERE place <= k) / sum(label::int)::float8 AS recall,
                     avg(label::int) FILTER (WHERE place <= k)::float8 AS precision, avg(label::int)::float8 AS rate,
                     coalesce(sum(ln(2) / ln(place + 1.0::float8)) FILTER (WHERE label AND place <= k), 0) AS gain
              FROM ranked) AS by_hand,
     LATERAL (SELECT sum(ln(2) / ln(place + 1.0::float8)) AS ideal
              FROM generate_series(1, least(k, (SELECT count(*) FROM ranked WHERE label))) AS place) AS best
GROUP BY k, recall, precision, rate, gain, ideal ORDER BY k;
-- More rows than there are.
SELECT behavpred.recall_at(label, score, 5000) AS recall, behavpred.lift_at(label, score, 5000) AS lift,
       behavpred.precision_at(label, score, 5000) = avg(label::int) AS precision FROM cases;

-- ece: 20 bins of 100 cases each, by probabilities that are all different.
SELECT abs(behavpred.ece(label, p, 20) - (SELECT sum(abs(sum_p - positives)) / 2000 FROM
         (SELECT sum(p) AS sum_p, sum(label::int) AS positives FROM
           (SELECT label, p, ntile(20) OVER (ORDER BY p) AS bin FROM
             (SELECT label, (score + i / 1e7) / 1.1 AS p FROM cases) AS different) AS binned GROUP BY bin) AS bins)) < 1e-12 AS ece,
       behavpred.ece(label, p) = behavpred.ece(label, p, 10) AS ten_bins_by_default
FROM (SELECT label, (score + i / 1e7) / 1.1 AS p FROM cases) AS different;

-- psi: expected and actual from different rows; bins of 100 each cut from the expected.
CREATE TABLE moved AS
SELECT i, i / 1000.0::float8 AS expected, (i / 1000.0::float8) ^ 2 * 1.2 AS actual FROM generate_series(1, 1000) i;
SELECT abs(behavpred.psi(expected, actual) - by_hand) < 1e-9 AS psi, round(by_hand::numeric, 3) AS value,
       behavpred.psi(expected, actual) = behavpred.psi(expected, actual, 10) AS ten_bins_by_default,
       behavpred.psi(expected, expected) AS unmoved
FROM moved, (SELECT sum((a - 0.1) * ln(a / 0.1)) AS by_hand FROM
  (SELECT count(*) / 1000.0::float8 AS a FROM moved GROUP BY least(ceil(actual * 10 - 1e-9), 10)) AS bins) AS sums
GROUP BY by_hand;
SELECT abs(behavpred.psi(CASE WHEN side = 1 THEN value END, CASE WHEN side = 2 THEN value END) -
           (SELECT behavpred.psi(expected, actual) FROM moved)) < 1e-12 AS from_different_rows
FROM (SELECT 1 AS side, expected AS value FROM moved UNION ALL SELECT 2, actual FROM moved) AS both_sides;

-- Small cases by hand, ties among them.
SELECT behavpred.auc(l, s), behavpred.pr_auc(l, s), behavpred.lift_at(l, s, 1) AS lift_at_1,
       behavpred.lift_at(l, s, 1.0) AS lift_of_all, behavpred.precision_at(l, s, 3) AS precision_at_3,
       behavpred.recall_at(l, s, 0.5) AS recall_at_half
FROM (VALUES (true, 0.9), (false, 0.8), (true, 0.8), (false, 0.1)) AS v (l, s);
SELECT behavpred.auc(l, 0.5) AS all_tied, behavpred.precision_at(l, 0.5, 1) AS a_third,
       behavpred.ndcg_at(l, 0.5, 1) AS ndcg, behavpred.ece(l, 0.5) AS ece
FROM unnest('{t,f,f}'::boolean[]) AS l;
SELECT behavpred.auc(l, s) AS infinite FROM (VALUES (0, '-inf'), (1, 0.0), (0, '-0'), (1, 'inf'::float8)) AS v (l, s);

-- Labels 0 and 1 are the same as false and true.
SELECT behavpred.auc(label::int, score) = behavpred.auc(label, score) AS auc,
       behavpred.pr_auc(label::int, score) = behavpred.pr_auc(label, score) AS pr_auc,
       behavpred.log_loss(label::int, score) = behavpred.log_loss(label, score) AS log_loss,
       behavpred.brier(label::int, score) = behavpred.brier(label, score) AS brier,
       behavpred.ece(label::int, score) = behavpred.ece(label, score) AS ece,
       behavpred.lift_at(label::int, score, 0.1) = behavpred.lift_at(label, score, 0.1) AS lift,
       behavpred.recall_at(label::int, score, 7) = behavpred.recall_at(label, score, 7) AS recall,
       behavpred.ndcg_at(label::int, score, 7) = behavpred.ndcg_at(label, score, 7) AS ndcg
FROM cases;

-- What cannot be told is NULL: no rows, NULL only, one class.
SELECT behavpred.auc(true, 0.5) IS NULL AS auc, behavpred.log_loss(true, 0.5) IS NULL AS log_loss,
       behavpred.psi(0.5, 0.5) IS NULL AS psi WHERE false;
SELECT behavpred.auc(l, s) AS auc, behavpred.pr_auc(l, s) AS pr_auc, behavpred.log_loss(l, s) AS log_loss,
       behavpred.lift_at(l, s, 1) AS lift, behavpred.precision_at(l, s, 1) AS precision
FROM (VALUES (NULL, 0.5), (true, NULL)) AS v (l, s);
SELECT l, behavpred.auc(l, s) AS auc, behavpred.pr_auc(l, s) AS pr_auc, behavpred.lift_at(l, s, 1) AS lift,
       behavpred.recall_at(l, s, 1) AS recall, behavpred.ndcg_at(l, s, 1) AS ndcg,
       behavpred.precision_at(l, s, 1) AS precision, behavpred.brier(l, s) AS brier, behavpred.ece(l, s) AS ece
FROM (VALUES (true, 0.5), (true, 0.5), (false, 0.5)) AS v (l, s) GROUP BY l ORDER BY l;
SELECT behavpred.psi(NULL, 0.5) AS psi;
-- Rows with a NULL are as if they were not there.
SELECT behavpred.auc(label, score) = (SELECT behavpred.auc(label, score) FROM cases WHERE i % 3 > 0) AS auc,
       abs(behavpred.brier(label, score) - (SELECT behavpred.brier(label, score) FROM cases WHERE i % 3 > 0)) < 1e-12 AS brier
FROM (SELECT CASE WHEN i % 6 > 0 THEN label END AS label, CASE WHEN i % 6 <> 3 THEN score END AS score FROM cases) AS with_nulls;

-- What has no answer is refused.
SELECT behavpred.auc(true, 'NaN');
SELECT behavpred.auc(2, 0.5);
SELECT behavpred.log_loss(true, 1.5);
SELECT behavpred.brier(true, 'NaN');
SELECT behavpred.ece(true, -0.5);
SELECT behavpred.ece(true, 0.5, 0);
SELECT behavpred.lift_at(true, 0.5, 0.0);
SELECT behavpred.lift_at(true, 0.5, 1.5);
SELECT behavpred.recall_at(true, 0.5, 0);
SELECT behavpred.ndcg_at(true, 0.5, NULL);
SELECT behavpred.ndcg_at(label, score, part + 1) FROM cases;
SELECT behavpred.psi('NaN', 1);
SELECT behavpred_internal.metric_add_ranked(NULL, true, 0.5);
SET behavpred.max_memory = '1MB';
SELECT behavpred.auc(i % 2, i) FROM generate_series(1, 20000) i;
SELECT behavpred.auc(i % 2, i) > 0.5 AS fits FROM generate_series(1, 15000) i;
RESET behavpred.max_memory;

-- As window functions, with DISTINCT and FILTER.
SELECT i, behavpred.auc(i % 3, i) OVER (ORDER BY i) AS auc, behavpred.brier(i % 3, i / 10.0) OVER (ORDER BY i) AS brier
FROM unnest('{0,1,3,4,7}'::int[]) AS i;
SELECT behavpred.auc(l, s) AS plain, behavpred.auc(DISTINCT l, s) AS distinct_rows, behavpred.auc(l, s) FILTER (WHERE s < 3) AS filtered
FROM (VALUES (1, 3), (0, 3), (1, 2), (1, 3), (0, 1)) AS v (l, s);

-- In a parallel plan: partial states, and the same result.
CREATE TABLE many AS
SELECT i, abs(hashint8extended(i, 5)) % 10 = 0 AS label, abs(hashint8extended(i, 6)) % 100000 / 1e5::float8 AS score
FROM generate_series(1, 50000) i;
SELECT behavpred.auc(label, score) AS auc, behavpred.ece(label, score) AS ece, behavpred.log_loss(label, score) AS log_loss,
       behavpred.psi(score, score * score) AS psi, behavpred.lift_at(label, score, 100) AS lift INTO serial FROM many;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE many SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT behavpred.auc(label, score), behavpred.log_loss(label, score) FROM many;
SELECT behavpred.auc(label, score) = auc AS auc, abs(behavpred.ece(label, score) - ece) < 1e-12 AS ece,
       abs(behavpred.log_loss(label, score) - log_loss) < 1e-12 AS log_loss,
       abs(behavpred.psi(score, score * score) - psi) < 1e-12 AS psi, behavpred.lift_at(label, score, 100) = lift AS lift
FROM many, serial GROUP BY auc, ece, log_loss, psi, lift;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- States as other servers exchange them: an aggregate that ends with its state, text and binary.
CREATE AGGREGATE partial_auc(label boolean, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state);
CREATE AGGREGATE joined_auc(behavpred_internal.metric_state) (
  SFUNC = behavpred_internal.metric_combine, STYPE = behavpred_internal.metric_state, FINALFUNC = behavpred_internal.metric_auc);
CREATE TABLE states AS SELECT part, partial_auc(label, score) AS state FROM cases GROUP BY part;
INSERT INTO states VALUES (9, NULL);
SELECT joined_auc(state) = (SELECT behavpred.auc(label, score) FROM cases) AS joined,
       joined_auc(state::text::behavpred_internal.metric_state) = joined_auc(state) AS by_text FROM states;
SELECT '\x00'::behavpred_internal.metric_state;
SELECT ('\x' || repeat('7f', 60))::behavpred_internal.metric_state;
SELECT 'metric'::behavpred_internal.metric_state;

DROP SCHEMA metrics_test CASCADE;
