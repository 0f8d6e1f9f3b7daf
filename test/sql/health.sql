-- The views health and storage: each check fails for its reason and for no other.
SET client_min_messages = error;
CREATE SCHEMA health_test;
SET search_path = health_test, public;
CREATE TABLE events AS
SELECT u AS user_id, o AS object_id FROM generate_series(1, 120) u, generate_series(1, 12) o WHERE (u * 7 + o * 11) % 5 < 2;
CREATE TABLE seeds AS SELECT user_id FROM events WHERE user_id % 4 = 0;
SELECT users_found, objects_found FROM behavpred.create_graph('health', 'events');
SELECT behavpred.create_target('healthy', 'health', object => '5', seeds => 'seeds');
SELECT epochs_run FROM behavpred.train_graph('health', dimension => 4, factors => 2, epochs => 1);
SELECT deployed FROM behavpred.train_target('healthy');

CREATE FUNCTION problems() RETURNS TABLE (name text, problems bigint, detail text) LANGUAGE sql AS $$
  SELECT h.name, h.problems, CASE WHEN h.name LIKE 'm%ing%' OR h.name LIKE 'stale%' OR h.name LIKE 'dead%' THEN h.detail END
  FROM behavpred.health h WHERE NOT h.ok $$;
SELECT name FROM behavpred.health ORDER BY 1;
SELECT * FROM problems() WHERE name NOT IN ('memory', 'threads');
SELECT count(hint) FROM behavpred.health WHERE ok;
SELECT detail ~ 'OpenBLAS' AS openblas, detail ~ 'kernel \w+' AS kernel, detail ~ 'own kernels \w+' AS own FROM behavpred.health WHERE name = 'openblas';

SELECT epochs_run FROM behavpred.train_graph('health', dimension => 4, factors => 2, epochs => 1);
ALTER TABLE seeds RENAME TO renamed;
ALTER TABLE health_object_embedding RENAME TO moved;
INSERT INTO behavpred.training_run (graph, pid, status, seed, threads, options) VALUES ('health', 0, 'running', 1, 1, '{}');
CREATE ROLE regress_behavpred_gone;
SELECT behavpred.grant_on('graph', 'health', 'read', 'regress_behavpred_gone', embeddings => false);
DROP ROLE regress_behavpred_gone;
SELECT name, problems, regexp_replace(detail, 'run \d+', 'run N') AS detail FROM problems() WHERE name NOT IN ('memory', 'threads') ORDER BY 1;
SELECT name, hint FROM behavpred.health WHERE NOT ok AND name NOT IN ('memory', 'threads') ORDER BY 1;
SET behavpred.max_memory = '2000GB';
SELECT name FROM problems() WHERE name = 'memory';
RESET behavpred.max_memory;

-- A way out of each.
ALTER TABLE renamed RENAME TO seeds;
ALTER TABLE moved RENAME TO health_object_embedding;
DELETE FROM behavpred.training_run WHERE graph = 'health' AND status = 'running';
SELECT behavpred.revoke_on('graph', 'health', 'read', 'regress_behavpred_gone');
SELECT deployed FROM behavpred.train_target('healthy');
SELECT * FROM problems() WHERE name NOT IN ('memory', 'threads');

-- Bytes.
SELECT kind, name, embedding_bytes > 1000 AS embeddings, model_bytes > 100 AS models, log_bytes > 100 AS log FROM behavpred.storage ORDER BY 1;
SELECT s.embedding_bytes = pg_total_relation_size('health_user_embedding') + pg_total_relation_size('health_object_embedding') AS exact
FROM behavpred.storage s WHERE s.kind = 'graph';
SELECT property FROM behavpred.environment() ORDER BY 1;

-- Somebody else has nothing to see, and nothing fails for him.
CREATE ROLE regress_behavpred_other;
SET ROLE regress_behavpred_other;
SELECT count(*) FROM behavpred.storage;
SELECT name FROM behavpred.health WHERE NOT ok AND name NOT IN ('memory', 'threads');
RESET ROLE;
DROP ROLE regress_behavpred_other;
SELECT behavpred.drop_graph('health');
DROP SCHEMA health_test CASCADE;
