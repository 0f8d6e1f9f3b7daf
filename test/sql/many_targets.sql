-- train_targets(): many targets from one reading, and none that stops the others.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;

CREATE TABLE many_events AS
SELECT u AS user_id, o AS object_id, timestamptz '2024-01-01' + make_interval(days => u % 50) AS happened
FROM generate_series(1, 600) u, generate_series(1, 60) o
WHERE abs(hashint8extended(u * 1000 + o, 7)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 30) THEN 55 ELSE 2 END
   OR (o = 60 AND u <= 12);
DELETE FROM many_events WHERE object_id = 60 AND user_id > 12;
CREATE TABLE many_seeds AS SELECT u AS user_id FROM generate_series(2, 300, 2) u;
CREATE TABLE many_some AS SELECT u AS user_id FROM generate_series(1, 450) u;
CREATE TABLE many_others AS SELECT u AS user_id FROM generate_series(1, 599, 2) u;
SELECT users_found FROM behavpred.create_graph('many', 'many_events', time_column => 'happened');
SELECT users_found FROM behavpred.create_graph('many_too', 'many_events');

SELECT count(behavpred.create_target('m' || o, 'many', object => o::text)) FROM generate_series(1, 5) o;
SELECT behavpred.create_target('m_set', 'many', objects => '{4,5,6}'),
       behavpred.create_target('m_seeds', 'many', seeds => 'many_seeds'),
       behavpred.create_target('m_both', 'many', object => '7', seeds => 'many_seeds'),
       behavpred.create_target('m_lately', 'many', object => '1', horizon => '30 days'),
       behavpred.create_target('m_lately_too', 'many', object => '2', horizon => '30 days'),
       behavpred.create_target('m_some', 'many', object => '1', candidates => 'many_some'),
       behavpred.create_target('m_others', 'many', object => '1', candidates => 'many_some', negatives => 'many_others'),
       behavpred.create_target('n1', 'many_too', object => '1');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('many', dimension => 16, factors => 2, epochs => 3);
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('many_too', dimension => 8, factors => 2, epochs => 2);

-- one row for each, in the order asked for; the models are those that train_target() makes
SELECT target, version, auc > 0.6 AS auc, test_basis, deployed, seconds >= 0 AS seconds, error, sqlstate
FROM behavpred.train_targets('many', '{m_set,m1,m2,m3,m_both,m_seeds,m_lately,m_lately_too,m_some,m_others}');
CREATE TABLE many_alone (target text, version int);
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY '{m_set,m1,m2,m3,m_both,m_seeds,m_lately,m_lately_too,m_some,m_others}'::text[] LOOP
    INSERT INTO many_alone SELECT name, version FROM behavpred.train_target(name, options => '{"deploy": "never"}');
  END LOOP;
END
$$;
SELECT count(*), bool_and(a.model::text = b.model::text) AS same_models,
       bool_and(a.metrics - 'incumbent_auc' = b.metrics - 'incumbent_auc') AS same_metrics,
       bool_and((b.metrics ->> 'incumbent_auc')::float8 = (a.metrics ->> 'auc')::float8) AS measured_on_the_same_users
FROM behavpred.trained_model a JOIN many_alone s ON s.target = a.target AND a.version = 1
JOIN behavpred.trained_model b ON b.target = s.target AND b.version = s.version;

-- threads and company change nothing
SELECT count(*) FROM behavpred.train_targets('many', threads => 2, options => '{"deploy": "never"}');
SELECT bool_and(a.model::text = b.model::text) AS same_models
FROM behavpred.trained_model a JOIN behavpred.trained_model b ON b.target = a.target AND b.version = 3
WHERE a.version = 1 AND a.target IN (SELECT target FROM many_alone);

-- audiences(): what audience() gives for each, to the last digit
SELECT deployed FROM behavpred.train_target('m4', model => 'mlp', hidden => '{4}', options => '{"epochs": 5, "deploy": "always"}');
SELECT deployed FROM behavpred.train_target('m5', calibration => 'isotonic', options => '{"deploy": "always"}');
CREATE FUNCTION many_same(names text[], n bigint, known boolean, chosen regclass, workers int, OUT rows bigint, OUT same boolean)
LANGUAGE sql AS $$
  SELECT count(*), bool_and(a = b) FROM behavpred.audiences(names, n, known, chosen, workers) a
  FULL JOIN (SELECT x.name, y.* FROM unnest(names) x(name), behavpred.audience(x.name, n, exclude_known => known, candidates => chosen) y) b
  ON (a.target, a.rank) = (b.name, b.rank)
$$;
SELECT * FROM many_same('{m_set,m1,m4,m5,m_both,m_seeds,m_lately,m_some,m_others}', 7, true, NULL, 1);
SELECT * FROM many_same('{m_set,m1,m4,m5,m_both,m_seeds,m_lately,m_some,m_others}', 100, true, NULL, 2);
SELECT * FROM many_same('{m_set,m1,m4,m5,m_both,m_seeds,m_lately,m_some,m_others}', 5000000000, false, NULL, 1);
SELECT * FROM many_same('{m1,m4,m_some}', 50, true, 'many_others', 2);
SELECT DISTINCT ON (target) target, rank FROM behavpred.audiences('{m2,m1}') WHERE rank = 1;
SELECT count(*) FROM behavpred.audiences('{}');
SELECT * FROM behavpred.audiences(NULL);
SELECT * FROM behavpred.audiences('{m1,NULL}');
SELECT * FROM behavpred.audiences('{m1,nobody}');
SELECT * FROM behavpred.audiences('{m1,n1}');
SELECT * FROM behavpred.audiences('{m1}', 0);
BEGIN;
CREATE TABLE many_strangers AS SELECT u AS user_id FROM generate_series(5001, 5100) u;
SELECT count(*) FROM behavpred.audiences('{m1}', candidates => 'many_strangers');
UPDATE many_user_embedding SET embedding = embedding || embedding;
SELECT count(*) FROM behavpred.audiences('{m1}');
ROLLBACK;
DROP FUNCTION many_same;

-- what fails is told in its row, leaves nothing, and stops nobody
CREATE TABLE many_gone AS SELECT u AS user_id FROM generate_series(2, 300, 2) u;
SELECT behavpred.create_target('f_few', 'many', object => '60'),
       behavpred.create_target('f_gone', 'many', seeds => 'many_gone'),
       behavpred.create_target('f_strange', 'many', object => '3', candidates => 'many_gone');
DROP TABLE many_gone;
RESET client_min_messages;
SELECT target, version, auc IS NOT NULL AS auc, error, sqlstate
FROM behavpred.train_targets('many', '{f_few,m4,f_gone,f_strange,m5,nobody,n1}');
SET client_min_messages = warning;
SELECT target, count(*) FROM behavpred.trained_model WHERE target IN ('f_few', 'f_gone', 'f_strange', 'm4', 'n1') GROUP BY 1;
SELECT count(*) FROM behavpred.runs WHERE target IN ('f_few', 'f_gone', 'f_strange');
SELECT target, error IS NULL AS trained FROM behavpred.train_targets(targets => '{m1,n1}');
SELECT count(*) AS all_of_mine, count(error) AS failed FROM behavpred.train_targets();
SELECT count(*) FROM behavpred.train_targets('many', '{}');

-- all share what they learn from the graph: its loss is told in every row
BEGIN;
DROP TABLE many_too_user_embedding;
SELECT target, error, sqlstate FROM behavpred.train_targets('many_too');
ROLLBACK;

-- arguments are refused before anything is read
SELECT * FROM behavpred.train_targets('many', '{m1,m2,m1}');
SELECT * FROM behavpred.train_targets('many', soft_weight => 2);
SELECT * FROM behavpred.train_targets('nothing');
SELECT * FROM behavpred.train_targets('many', options => '{"deploi": "never"}');
BEGIN READ ONLY;
SELECT * FROM behavpred.train_targets('many', '{m1}');
ROLLBACK;

-- a cancel is no target's failure
\set VERBOSITY sqlstate
SET statement_timeout = '1ms';
SELECT count(*) FROM behavpred.train_targets('many');
RESET statement_timeout;
\set VERBOSITY default

SELECT behavpred.drop_graph('many'), behavpred.drop_graph('many_too');
DROP TABLE many_events, many_seeds, many_some, many_others, many_alone;
