-- Graphs: sources of every kind, filters, features, training, evaluation.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
RESET client_min_messages;
CREATE SCHEMA graph_test;
SET search_path = graph_test, public;

-- 60 users in two groups, 24 objects in two halves; each user likes one half.
CREATE TABLE events (
  user_id bigint, object_id int, kind text, seconds float8, weight numeric, happened_at timestamptz);
INSERT INTO events
SELECT u, o, CASE WHEN (u + o) % 3 = 0 THEN 'purchase' ELSE 'view' END,
       (u * 7 + o * 3) % 60, 1 + (u + o) % 4, '2026-01-01 00:00+00'::timestamptz + u * interval '1 hour'
FROM generate_series(1, 60) u, generate_series(1, 24) o
WHERE (u * 5 + o * 11) % 4 <> 0 AND (u % 2 = 0) = (o <= 12);
INSERT INTO events SELECT * FROM events WHERE user_id <= 5;
INSERT INTO events VALUES (NULL, 1, 'view', 1, 1, now()), (1, NULL, 'view', 1, 1, now());

-- Rows, duplicates and NULL keys are counted.
SELECT * FROM create_graph('unqualified', 'events');  -- the schema is not in search_path
SELECT * FROM behavpred.create_graph('shop', 'events');
SELECT count(*) AS rows, count(DISTINCT user_id) AS users, count(DISTINCT object_id) AS objects,
       count(DISTINCT (user_id, object_id)) FILTER (WHERE user_id IS NOT NULL AND object_id IS NOT NULL) AS edges
FROM events;
SELECT * FROM behavpred.describe_graph('shop');
SELECT graph, owner = current_user AS own, interactions, user_column, object_column, row_security, trained_run
FROM behavpred.graphs;

-- Filters.
SELECT 'behavior' AS filter, g.* FROM behavpred.create_graph('f1', 'events',
  behavior_column => 'kind', behaviors => '{purchase}') g
UNION ALL
SELECT 'behaviors', g.* FROM behavpred.create_graph('f2', 'events',
  behavior_column => 'kind', behaviors => '{purchase,view}') g
UNION ALL
SELECT 'value', g.* FROM behavpred.create_graph('f3', 'events', value_column => 'seconds', min_value => 30) g
UNION ALL
SELECT 'weight', g.* FROM behavpred.create_graph('f4', 'events', weight_column => 'weight') g
UNION ALL
SELECT 'max_degree', g.* FROM behavpred.create_graph('f5', 'events', max_degree => 3) g;
SELECT count(*) AS purchases FROM events WHERE kind = 'purchase';
SELECT count(*) AS long_ones FROM events WHERE seconds >= 30;
SELECT * FROM behavpred.describe_graph('f5')
WHERE property IN ('edges_over_max_degree', 'user_degree_max', 'object_degree_max');
SELECT behavpred.drop_graph(graph) FROM behavpred.graphs WHERE graph LIKE 'f_' ORDER BY graph;

-- The last interval before now().
CREATE TABLE recent AS
SELECT u AS user_id, o AS object_id, now() - u * interval '1 day' AS tz,
       (now() - u * interval '1 day')::timestamp AS ts, (now() - u * interval '1 day')::date AS day
FROM generate_series(1, 20) u, generate_series(1, 4) o;
SELECT users_found FROM behavpred.create_graph('f1', 'recent', time_column => 'tz', since => '10 days 12 hours');
SELECT users_found FROM behavpred.create_graph('f2', 'recent', time_column => 'ts', since => '10 days 12 hours');
SELECT users_found BETWEEN 9 AND 11 AS ok FROM behavpred.create_graph('f3', 'recent', time_column => 'day', since => '10 days 12 hours');
SELECT property, value IS NOT NULL AS known FROM behavpred.describe_graph('f1')
WHERE property IN ('first_interaction', 'last_interaction');
SELECT behavpred.drop_graph(graph) FROM behavpred.graphs WHERE graph LIKE 'f_' ORDER BY graph;

-- Browsed for at least 30 seconds, as an interval.
CREATE TABLE visits AS
SELECT user_id, object_id, seconds * interval '1 second' AS dwell FROM events WHERE user_id IS NOT NULL;
SELECT interactions_read = (SELECT count(*) FROM visits WHERE dwell >= '30 s') AS same
FROM behavpred.create_graph('f1', 'visits', value_column => 'dwell', min_value => 30);
SELECT behavpred.drop_graph('f1');

-- An index on a text column serves the filter.
CREATE TABLE indexed AS SELECT g AS user_id, g % 7 AS object_id, CASE WHEN g % 500 = 0 THEN 'rare' ELSE 'usual' END AS kind
FROM generate_series(1, 20000) g;
CREATE INDEX ON indexed (kind);
ANALYZE indexed;
BEGIN;
SET LOCAL max_parallel_workers_per_gather = 0;  -- only this process counts its scans below
SELECT * FROM behavpred.create_graph('f1', 'indexed', behavior_column => 'kind', behaviors => '{rare}');
SELECT idx_scan > 0 AS idx_scan FROM pg_stat_xact_user_tables WHERE relname = 'indexed';
COMMIT;
SELECT behavpred.drop_graph('f1');

-- Keys of every type, and every kind of relation; an enum as behavior.
CREATE TYPE behaviour AS ENUM ('view', 'purchase');
CREATE DOMAIN customer AS text;
CREATE TABLE k_small AS SELECT user_id::smallint, object_id::smallint FROM events;
CREATE TABLE k_text AS SELECT ('user ' || user_id)::text AS user_id, ('o' || object_id)::varchar(20) AS object_id FROM events;
CREATE TABLE k_uuid AS SELECT md5('u' || user_id)::uuid AS user_id, md5('o' || object_id)::uuid AS object_id FROM events;
CREATE TABLE k_domain AS SELECT ('user ' || user_id)::customer AS user_id, object_id, kind::behaviour AS kind FROM events;
CREATE VIEW k_view AS SELECT user_id AS visitor, object_id AS page FROM events;
CREATE MATERIALIZED VIEW k_matview AS SELECT * FROM events;
CREATE TABLE k_parted (user_id int, object_id int) PARTITION BY HASH (user_id);
CREATE TABLE k_parted_0 PARTITION OF k_parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE k_parted_1 PARTITION OF k_parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO k_parted SELECT user_id, object_id FROM events WHERE user_id IS NOT NULL;
SELECT 'smallint' AS of, g.* FROM behavpred.create_graph('f1', 'k_small') g
UNION ALL SELECT 'text and varchar', g.* FROM behavpred.create_graph('f2', 'k_text') g
UNION ALL SELECT 'uuid', g.* FROM behavpred.create_graph('f3', 'k_uuid') g
UNION ALL SELECT 'domain', g.* FROM behavpred.create_graph('f4', 'k_domain', behavior_column => 'kind', behaviors => '{purchase,view}') g
UNION ALL SELECT 'view', g.* FROM behavpred.create_graph('f5', 'k_view', 'visitor', 'page') g
UNION ALL SELECT 'materialized view', g.* FROM behavpred.create_graph('f6', 'k_matview') g
UNION ALL SELECT 'partitioned table', g.* FROM behavpred.create_graph('f7', 'k_parted') g;
SELECT graph, user_key_type, object_key_type FROM behavpred.registered_graph WHERE graph LIKE 'f_' ORDER BY graph;
-- The tables that training writes have the types and names of the keys.
SELECT g.graph, t.user_embeddings, t.object_embeddings
FROM behavpred.graphs g, LATERAL behavpred.train_graph(g.graph, dimension => 8, epochs => 1) t
WHERE g.graph LIKE 'f_' ORDER BY g.graph;
SELECT attrelid::regclass AS table, attname, format_type(atttypid, atttypmod)
FROM pg_attribute WHERE attnum = 1 AND attrelid IN
  (SELECT to_regclass(e) FROM behavpred.graphs, unnest(ARRAY[user_embeddings, object_embeddings]) e WHERE graph LIKE 'f_')
ORDER BY attrelid::regclass::text;
SELECT (SELECT count(*) FROM f2_user_embedding JOIN k_text USING (user_id)) > 0 AS text_joins,
       (SELECT count(*) FROM f3_user_embedding JOIN k_uuid USING (user_id)) > 0 AS uuid_joins;
SELECT behavpred.drop_graph(graph) FROM behavpred.graphs WHERE graph LIKE 'f_' ORDER BY graph;
SELECT count(*) AS tables_left FROM pg_class WHERE relname LIKE 'f_\_%embedding' AND relkind = 'r';

-- Features of every kind; users and objects that nobody has met become nodes.
CREATE TYPE plan AS ENUM ('free', 'pro');
CREATE TABLE people (
  user_id bigint PRIMARY KEY, age int, height numeric, active boolean, country text, plan plan,
  taste real[], note varchar(10), joined date);
INSERT INTO people
SELECT u, 20 + u, CASE WHEN u % 5 > 0 THEN 150 + u END, u % 2 = 0, CASE WHEN u % 9 > 0 THEN (ARRAY['SE', 'DE', 'at'])[1 + u % 3] END,
       (ARRAY['free', 'pro'])[1 + u % 2]::plan, ARRAY[u % 3, 0.5, -1], 'n' || u % 2, '2026-01-01'
FROM generate_series(1, 70) u;
CREATE TABLE things (object_id int PRIMARY KEY, price float8, tags float8[]);
INSERT INTO things SELECT o, o * 1.5, CASE WHEN o % 2 = 0 THEN ARRAY[o, -o] END FROM generate_series(1, 26) o;
SELECT users_found, objects_found, edges FROM behavpred.create_graph('featured', 'events',
  users => 'people', objects => 'things', object_features => '{price,tags}');
SELECT user_features, object_features FROM behavpred.graphs WHERE graph = 'featured';
SELECT property, value FROM behavpred.describe_graph('featured')
WHERE property IN ('users', 'objects', 'users_without_edges', 'objects_without_edges', 'user_features', 'object_features');
SELECT epochs_run, recall_at_20 > 0 AS found FROM behavpred.train_graph('featured', dimension => 8, epochs => 2);
SELECT count(*) AS users, count(*) FILTER (WHERE degree = 0) AS without_edges,
       bool_and(array_length(embedding, 1) = 10) AS same_length FROM featured_user_embedding;
SELECT behavpred.drop_graph('featured');
-- A key column that is named otherwise is found by the primary key.
CREATE TABLE customers (id bigint PRIMARY KEY, age int);
INSERT INTO customers SELECT user_id, age FROM people;
SELECT users_found FROM behavpred.create_graph('featured', 'events', users => 'customers');
SELECT user_features FROM behavpred.graphs WHERE graph = 'featured';
SELECT behavpred.drop_graph('featured');

-- Training: what it writes, that it can be repeated, that the seed and not the threads decide.
CREATE TABLE held_out AS SELECT DISTINCT ON (user_id) user_id, object_id FROM events
WHERE user_id > 5 AND object_id IS NOT NULL ORDER BY user_id, object_id;
CREATE TABLE known AS SELECT user_id, object_id FROM events EXCEPT SELECT user_id, object_id FROM held_out;
SELECT users_found, edges FROM behavpred.create_graph('halves', 'known');
SELECT epochs_run, best_epoch BETWEEN 1 AND 6 AS best, loss > 0 AS loss, recall_at_20 BETWEEN 0 AND 1 AS recall,
       ndcg_at_20 BETWEEN 0 AND 1 AS ndcg, user_embeddings, object_embeddings, seconds > 0 AS seconds
FROM behavpred.train_graph('halves', dimension => 16, epochs => 6, patience => 0, negatives => 20, seed => 7);
\d halves_user_embedding
SELECT obj_description('halves_object_embedding'::regclass) AS comment;
CREATE TABLE first_vectors AS SELECT * FROM halves_user_embedding;
SET behavpred.threads = 2;
SELECT epochs_run FROM behavpred.train_graph('halves', dimension => 16, epochs => 6, negatives => 20, seed => 7,
  options => '{"patience": 0}');
RESET behavpred.threads;
SELECT count(*) AS users, bool_and(a.embedding = b.embedding) AS same FROM first_vectors a JOIN halves_user_embedding b USING (user_id);
SELECT epochs_run FROM behavpred.train_graph('halves', dimension => 16, epochs => 6, patience => 0, negatives => 20, seed => 8);
SELECT bool_and(a.embedding = b.embedding) AS same FROM first_vectors a JOIN halves_user_embedding b USING (user_id);
SELECT r.graph, r.status, r.seed, r.options->>'dimension' AS dimension, r.options->>'routing' AS routing,
       (r.result->>'edges')::int = (SELECT count(*) FROM known WHERE num_nulls(user_id, object_id) = 0) AS edges, (SELECT count(*) FROM behavpred.training_log l WHERE l.run_id = r.run_id) AS epochs
FROM behavpred.runs r ORDER BY run_id DESC LIMIT 3;
SELECT run_id = (SELECT max(run_id) FROM behavpred.runs) AS latest
FROM behavpred.graphs JOIN behavpred.runs ON run_id = trained_run WHERE graphs.graph = 'halves';
-- The two halves are told apart: most users find their hidden object among 6 of 24.
SELECT users, pairs, pairs_left_out, recall > popularity_recall + 0.2 AS recall, ndcg > popularity_ndcg AS ndcg,
       hit_rate BETWEEN 0 AND 1 AS hit_rate, recall_error BETWEEN 0 AND 0.1 AS error
FROM behavpred.evaluate_graph('halves', 'held_out', k => 6);
-- Interactions that the graph has, repeated ones, and strangers are left out.
CREATE VIEW odd_pairs AS
SELECT user_id, object_id FROM held_out UNION ALL SELECT * FROM (SELECT user_id, object_id FROM held_out LIMIT 3) h
UNION ALL SELECT 1000, 1 UNION ALL SELECT 10, 1000 UNION ALL SELECT * FROM (SELECT user_id, object_id FROM known WHERE user_id = 10 LIMIT 1) k;
SELECT users, pairs, pairs_left_out FROM behavpred.evaluate_graph('halves', 'odd_pairs', k => 6);
-- Every rule of the network trains.
SELECT epochs_run FROM behavpred.train_graph('halves', dimension => 8, factors => 2, layers => 1, epochs => 1, options =>
  '{"routing": "disengcn", "attention": "additive", "attention_width": 4, "mapping": "linear", "full_gradient": true, "loss": "logistic", "weight_decay": 1e-5, "layer_mean": true}');
SELECT epochs_run FROM behavpred.train_graph('halves', dimension => 8, factors => 1, epochs => 1, options =>
  '{"routing": "off", "attention": "off", "mapping": "identity"}');
-- No epoch at all: initial vectors, propagated.
SELECT epochs_run, loss FROM behavpred.train_graph('halves', dimension => 8, epochs => 0);

-- Own changes of the transaction are seen; a failed training leaves the old vectors.
BEGIN;
INSERT INTO known VALUES (5000, 1), (5000, 2);
SELECT users_found FROM behavpred.create_graph('inside', 'known');
SELECT epochs_run FROM behavpred.train_graph('halves', dimension => 8, epochs => 1);
SELECT count(*) FROM halves_user_embedding WHERE user_id = 5000;
ROLLBACK;
SELECT count(*) FROM halves_user_embedding WHERE user_id = 5000;
SELECT count(*) FROM behavpred.graphs WHERE graph = 'inside';

-- A table that was dropped is made again; views on the tables survive a training.
DROP TABLE halves_object_embedding;
CREATE VIEW on_top AS SELECT count(*) FROM halves_user_embedding;
SELECT object_embeddings FROM behavpred.train_graph('halves', dimension => 8, epochs => 1);
SELECT * FROM on_top;
DROP VIEW on_top;

SELECT behavpred.drop_graph('halves');
SELECT behavpred.drop_graph('shop');
SELECT count(*) AS graphs FROM behavpred.registered_graph WHERE graph IN ('halves', 'shop');
SELECT count(*) AS runs FROM behavpred.training_run WHERE graph IN ('halves', 'shop');
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA graph_test CASCADE;
