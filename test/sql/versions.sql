-- Versions of a model: deployment, history, way back.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;

CREATE TABLE version_events AS
SELECT u AS user_id, o AS object_id FROM generate_series(1, 600) u, generate_series(1, 60) o
WHERE abs(hashint8extended(u * 1000 + o, 7)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 30) THEN 55 ELSE 2 END;
SELECT users_found FROM behavpred.create_graph('version_graph', 'version_events');
SELECT behavpred.create_target('v', 'version_graph', object => '5');
SELECT behavpred.rollback('v');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('version_graph', dimension => 16, factors => 2, epochs => 3);

CREATE FUNCTION predictions() RETURNS text LANGUAGE sql
AS $$ SELECT md5(string_agg(behavpred.predict('v', u)::text, ',' ORDER BY u)) FROM generate_series(1, 600) u $$;

-- each version keeps its predictions: the way back restores them to the last digit
SELECT deployed FROM behavpred.train_target('v');
SELECT behavpred.rollback('v');
CREATE TABLE version_1 AS SELECT predictions();
SELECT deployed FROM behavpred.train_target('v', soft_weight => 1, options => '{"deploy": "always"}');
CREATE TABLE version_2 AS SELECT predictions();
SELECT deployed FROM behavpred.train_target('v', seed_weights => 'none', options => '{"deploy": "never"}');
SELECT behavpred.deploy('v', 3);
SELECT behavpred.deploy('v', 3);
SELECT predictions() NOT IN (TABLE version_1 UNION TABLE version_2) AS third;
SELECT behavpred.rollback('v'), behavpred.rollback('v');
SELECT predictions() = (TABLE version_1) AS first_again;
SELECT behavpred.rollback('v');
SELECT behavpred.deploy('v', 2);
SELECT predictions() = (TABLE version_2) AS second_again;
SELECT behavpred.rollback('v');
SELECT behavpred.deploy('v', 4);
SELECT version, action, deployed_by = session_user AS by_me, deployed_at <= clock_timestamp() AS before_now
FROM behavpred.model_deployment WHERE target = 'v' ORDER BY deployment_id;
SELECT deployed_version, deployed_at = (SELECT max(deployed_at) FROM behavpred.model_deployment) AS at, deployed_by = session_user AS by_me
FROM behavpred.targets WHERE target = 'v';
SELECT version, deployed, usable, teacher, deployed_at IS NOT NULL AS was_deployed FROM behavpred.models WHERE target = 'v' ORDER BY version;

-- metrics in long form
SELECT version, metric, value BETWEEN low AND high AS within, high - low BETWEEN 0.01 AND 0.8 AS width, n > positives AS n, positives > 5 AS positives
FROM behavpred.metrics WHERE target = 'v' AND version = 1 ORDER BY metric;
SELECT count(DISTINCT version), min(metric) FROM behavpred.metrics WHERE target = 'v' AND metric = 'incumbent_auc';

-- if_better compares on the test users of the new version: a worse model stays back, an equal one is taken
SELECT deployed FROM behavpred.train_target('v', options => '{"deploy": "always"}');
SELECT deployed FROM behavpred.train_target('v', seed => 99, options => '{"ridge": 1000000, "deploy": "if_better"}', soft_weight => 0);
SELECT bool_or((metrics ->> 'incumbent_auc')::float8 > (metrics ->> 'auc')::float8) AS the_deployed_one_was_better
FROM behavpred.models WHERE target = 'v' AND version = 5;
SELECT deployed FROM behavpred.train_target('v');

-- after another training of the graph no version fits
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('version_graph', dimension => 16, factors => 2, epochs => 2);
\set VERBOSITY terse
SELECT behavpred.deploy('v', 1);
SELECT behavpred.rollback('v');
\set VERBOSITY default
SELECT bool_or(usable) AS any_usable FROM behavpred.models WHERE target = 'v';
SELECT deployed FROM behavpred.train_target('v', options => '{"ridge": 1000000}');

-- a deployment that never was, or is not there any more
SELECT behavpred.deploy('v', 77);
SELECT behavpred.deploy('w', 1);
BEGIN READ ONLY;
SELECT behavpred.deploy('v', 1);
ROLLBACK;
SELECT behavpred.deploy('v', NULL);
BEGIN;
DELETE FROM behavpred.model_deployment;
UPDATE behavpred.registered_target SET deployed_version = NULL WHERE target = 'v';
SELECT behavpred.rollback('v');
ROLLBACK;
-- what was deployed before there was a history is its first entry
BEGIN;
DELETE FROM behavpred.model_deployment;
SELECT deployed FROM behavpred.train_target('v', options => '{"deploy": "always"}');
SELECT version, action FROM behavpred.model_deployment ORDER BY deployment_id;
SELECT behavpred.rollback('v');
ROLLBACK;

SELECT behavpred.drop_target('v');
SELECT count(*) FROM behavpred.model_deployment;
SELECT behavpred.drop_graph('version_graph');
DROP FUNCTION predictions();
DROP TABLE version_events, version_1, version_2;
