-- What graphs refuse: each with message, detail and hint.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE SCHEMA graph_errors;
GRANT USAGE ON SCHEMA graph_errors TO PUBLIC;
SET search_path = graph_errors, public;

CREATE TABLE events (
  user_id bigint, object_id bigint, kind text, seconds float8, weight float8, happened_at timestamptz,
  price money, nothing text, embedding int);
INSERT INTO events SELECT u, o, 'view', u, 1, '2026-01-01', 1, NULL, 1
FROM generate_series(1, 20) u, generate_series(1, 10) o WHERE (u + o) % 3 > 0;
CREATE TABLE people AS SELECT g AS user_id, g::float8 AS age, g % 2 = 0 AS active, ARRAY[g, 1]::real[] AS taste,
  'word ' || g AS word, now() AS joined, NULL::int AS missing, NULL::text AS no_word, NULL::real[] AS no_taste
FROM generate_series(1, 150) g;

-- Messages without what depends on the processor or grows with the options.
CREATE FUNCTION message_of(statement text) RETURNS TABLE (state text, message text, detail text, hint text)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT;
  message := regexp_replace(message, '[0-9.]+ [kMG]B,', '... MB,');
  hint := regexp_replace(hint, '[0-9.]+ [kMG]B', '... MB', 'g');
  RETURN NEXT;
END
$$;

-- Arguments.
SELECT * FROM behavpred.create_graph(NULL, 'events');
SELECT * FROM behavpred.create_graph('shop', NULL);
SELECT * FROM behavpred.create_graph('', 'events');
SELECT * FROM behavpred.create_graph('my shop', 'events');
SELECT * FROM behavpred.create_graph('2nd', 'events');
SELECT * FROM behavpred.create_graph(repeat('x', 41), 'events');
SELECT * FROM behavpred.create_graph('shop', 'evnts');
SELECT * FROM behavpred.create_graph('shop', 'events', user_column => 'usr_id');
SELECT * FROM behavpred.create_graph('shop', 'events', object_column => 'thing_that_was_bought');
SELECT * FROM behavpred.create_graph('shop', 'events', user_column => 'ctid');
SELECT * FROM behavpred.create_graph('shop', 'events', user_column => 'price');
SELECT * FROM behavpred.create_graph('shop', 'events', object_column => 'seconds');
SELECT * FROM behavpred.create_graph('shop', 'events', user_column => 'object_id');
SELECT * FROM behavpred.create_graph('shop', 'events', object_column => 'embedding');
SELECT * FROM behavpred.create_graph('shop', 'events', behaviors => '{view}');
SELECT * FROM behavpred.create_graph('shop', 'events', behavior_column => 'kind');
SELECT * FROM behavpred.create_graph('shop', 'events', behavior_column => 'kind', behaviors => '{}');
SELECT * FROM behavpred.create_graph('shop', 'events', behavior_column => 'kind', behaviors => '{view,NULL}');
SELECT * FROM behavpred.create_graph('shop', 'events', behavior_column => 'knd', behaviors => '{view}');
SELECT * FROM behavpred.create_graph('shop', 'events', min_value => 30);
SELECT * FROM behavpred.create_graph('shop', 'events', value_column => 'seconds');
SELECT * FROM behavpred.create_graph('shop', 'events', value_column => 'kind', min_value => 30);
SELECT * FROM behavpred.create_graph('shop', 'events', value_column => 'seconds', min_value => 'NaN');
SELECT * FROM behavpred.create_graph('shop', 'events', weight_column => 'kind');
SELECT * FROM behavpred.create_graph('shop', 'events', since => '1 day');
SELECT * FROM behavpred.create_graph('shop', 'events', time_column => 'happened_at', since => '-1 day');
SELECT * FROM behavpred.create_graph('shop', 'events', time_column => 'kind');
SELECT * FROM behavpred.create_graph('shop', 'events', max_degree => 0);
SELECT * FROM behavpred.create_graph('shop', 'events', row_security => 'aply');
SELECT * FROM behavpred.create_graph('shop', 'events', user_features => '{age}');
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'people', user_features => '{}');
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'people', user_features => '{aeg}');
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'people', user_features => '{joined}');
SELECT * FROM behavpred.create_graph('shop', 'events', objects => 'people', object_features => '{age}');
CREATE INDEX events_index ON events (user_id);
CREATE SEQUENCE counter;
SELECT * FROM behavpred.create_graph('shop', 'counter');

-- Data: nothing, one user, one object, what is not finite.
CREATE TABLE nobody (user_id int, object_id int, weight float8);
SELECT * FROM behavpred.create_graph('shop', 'nobody');
INSERT INTO nobody VALUES (NULL, 1), (1, NULL);
SELECT * FROM behavpred.create_graph('shop', 'nobody');
SELECT * FROM behavpred.create_graph('shop', 'events', behavior_column => 'kind', behaviors => '{purchase}',
  value_column => 'seconds', min_value => 5.5, time_column => 'happened_at', since => '100 years');
INSERT INTO nobody VALUES (1, 1, 0), (1, 2, 0);
SELECT * FROM behavpred.create_graph('shop', 'nobody');
INSERT INTO nobody VALUES (2, 1, 0);
SELECT * FROM behavpred.create_graph('shop', 'nobody', weight_column => 'weight');
DELETE FROM nobody WHERE object_id = 2;
SELECT * FROM behavpred.create_graph('shop', 'nobody');
CREATE VIEW bad_weight AS SELECT user_id, object_id, CASE WHEN user_id = 3 AND object_id = 4 THEN bad ELSE 1 END AS weight
FROM events, LATERAL (SELECT current_setting('test.weight')::float8 AS bad) b;
SET test.weight = 'NaN';
SELECT * FROM behavpred.create_graph('shop', 'bad_weight', weight_column => 'weight');
SET test.weight = 'Infinity';
SELECT * FROM behavpred.create_graph('shop', 'bad_weight', weight_column => 'weight');
SET test.weight = '-1';
SELECT * FROM behavpred.create_graph('shop', 'bad_weight', weight_column => 'weight');
SET test.weight = '1e300';
SELECT * FROM behavpred.create_graph('shop', 'bad_weight', weight_column => 'weight');
CREATE VIEW null_weight AS SELECT user_id, object_id, NULLIF(user_id, 3) AS weight FROM events WHERE user_id <> 3 OR object_id = 4;
SELECT * FROM behavpred.create_graph('shop', 'null_weight', weight_column => 'weight');

CREATE VIEW long_keys AS SELECT repeat('x', 2000 + user_id::int) AS user_id, object_id FROM events;
SELECT state, message, hint FROM message_of($$SELECT behavpred.create_graph('shop', 'long_keys')$$);

-- Features.
CREATE VIEW bad_feature AS SELECT user_id, CASE WHEN user_id = 3 THEN current_setting('test.weight')::float8 ELSE age END AS age FROM people;
SET test.weight = 'NaN';
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'bad_feature');
SET test.weight = '-Infinity';
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'bad_feature');
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'people', user_features => '{age,missing}');
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'people', user_features => '{no_word}');
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'people', user_features => '{no_taste}');
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'people', user_features => '{word}');
CREATE VIEW twice AS SELECT user_id, age FROM people UNION ALL SELECT 7, 1;
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'twice');
CREATE VIEW uneven AS SELECT user_id, CASE WHEN user_id = 5 THEN taste || 1::real ELSE taste END AS taste FROM people ORDER BY user_id;
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'uneven');
CREATE VIEW holed AS SELECT user_id, CASE WHEN user_id = 5 THEN '{1,NULL}' ELSE taste END AS taste FROM people ORDER BY user_id;
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'holed');
CREATE VIEW text_keys AS SELECT user_id::text AS user_id, age FROM people;
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'text_keys');
CREATE VIEW no_keys AS SELECT age FROM people;
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'no_keys');
CREATE VIEW only_keys AS SELECT user_id FROM people;
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'only_keys');

CREATE TABLE no_rows (user_id bigint, age int);
SELECT * FROM behavpred.create_graph('shop', 'events', users => 'no_rows');

-- What can be made, but is hardly meant.
SET client_min_messages = notice;
BEGIN;
CREATE TEMP TABLE passing AS SELECT * FROM events;
SELECT edges FROM behavpred.create_graph('hardly', 'passing');
SELECT behavpred.create_target('hardly', 'hardly', seeds => 'passing');
ROLLBACK;
BEGIN;
SELECT edges FROM behavpred.create_graph('hardly', 'events', behavior_column => 'kind', behaviors => '{view,veiw}');
ROLLBACK;
BEGIN;
CREATE VIEW others AS SELECT user_id + 1000 AS user_id, age FROM people LIMIT 20;
SELECT users_found FROM behavpred.create_graph('hardly', 'events', users => 'others');
ROLLBACK;
BEGIN;
CREATE VIEW spent AS SELECT user_id, object_id, CASE WHEN user_id = 3 THEN 1000 ELSE 1 END AS spent FROM events;
SELECT edges FROM behavpred.create_graph('hardly', 'spent', weight_column => 'spent');
SELECT edges FROM behavpred.create_graph('even', 'spent', weight_column => 'user_id', users => 'people', user_features => '{age}',
  behavior_column => 'object_id', behaviors => '{1,2,3,4}');
ROLLBACK;
BEGIN;
CREATE VIEW single AS SELECT user_id, user_id % 7 AS object_id FROM people;
SELECT edges FROM behavpred.create_graph('hardly', 'single');
SELECT recall_at_20 FROM behavpred.train_graph('hardly', dimension => 4, epochs => 1);
SELECT recall_at_20 FROM behavpred.train_graph('hardly', dimension => 4, epochs => 1, validation_fraction => 0);
ROLLBACK;
BEGIN;
SELECT edges FROM behavpred.create_graph('hardly', 'events', max_degree => 2);
SELECT edges FROM behavpred.create_graph('bounded', 'events', max_degree => 12);
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM behavpred.create_graph('hardly', 'events');
ROLLBACK;
SET client_min_messages = warning;

-- Nothing of all that is left.
SELECT count(*) FROM behavpred.registered_graph WHERE graph = 'shop';

-- Graphs that are not there, are there already, or are not trained.
SELECT * FROM behavpred.describe_graph('shop');
SELECT * FROM behavpred.train_graph('shop');
SELECT * FROM behavpred.train_graph(NULL);
SELECT behavpred.drop_graph('shop');
SELECT behavpred.drop_graph(NULL);
SELECT edges FROM behavpred.create_graph('shop', 'events');
SELECT edges FROM behavpred.create_graph('shop', 'events');
SELECT * FROM behavpred.evaluate_graph('shop', 'events');

-- Training.
SELECT * FROM behavpred.train_graph('shop', dimension => 30);
SELECT * FROM behavpred.train_graph('shop', layers => 0);
SELECT * FROM behavpred.train_graph('shop', dimension => 1000000);
SELECT * FROM behavpred.train_graph('shop', dimension => -4);
SELECT * FROM behavpred.train_graph('shop', factors => 0);
SELECT * FROM behavpred.train_graph('shop', epochs => -1);
SELECT * FROM behavpred.train_graph('shop', learning_rate => 'NaN');
SELECT * FROM behavpred.train_graph('shop', learning_rate => 'Infinity');
SELECT * FROM behavpred.train_graph('shop', validation_fraction => 0.9);
SELECT * FROM behavpred.train_graph('shop', threads => 0);
SELECT * FROM behavpred.train_graph('shop', options => '{"learning_rte": 0.1}');
SELECT * FROM behavpred.train_graph('shop', options => '{"dimension": 16}');
SELECT * FROM behavpred.train_graph('shop', options => '{"threads": 2}');
CALL behavpred.run_graph('shop', options => '{"max_seconds": 2}');
CALL behavpred.run_graph('shop', learning_rate => 'NaN');
SELECT status, error_text, options -> 'learning_rate' AS learning_rate FROM behavpred.runs WHERE graph = 'shop';
SELECT state, message, hint LIKE 'Choose one of: epochs, batch_size, %' AS lists_them
FROM message_of($$SELECT behavpred.train_graph('shop', options => '{"zzzzzzzzzzzz": 0.1}')$$);
SELECT * FROM behavpred.train_graph('shop', options => '{"routing": "clam"}');
SELECT * FROM behavpred.train_graph('shop', options => '{"routing": 1}');
SELECT * FROM behavpred.train_graph('shop', options => '{"epochs": 1.5}');
SELECT * FROM behavpred.train_graph('shop', options => '{"epochs": 1e20}');
SELECT * FROM behavpred.train_graph('shop', options => '{"epochs": "three"}');
SELECT * FROM behavpred.train_graph('shop', options => '{"epochs": null}');
SELECT * FROM behavpred.train_graph('shop', options => '{"layer_mean": 1}');
SELECT * FROM behavpred.train_graph('shop', options => '{"negatives": 0}');
SELECT * FROM behavpred.train_graph('shop', options => '{"weight_decay": [1, 2]}');
SELECT * FROM behavpred.train_graph('shop', options => '[1]');

-- Memory: what it would need, and what would fit.
SET behavpred.max_memory = '1MB';
SELECT * FROM message_of($$SELECT behavpred.train_graph('shop', dimension => 1024, negatives => 1)$$);
CREATE TABLE wide AS SELECT g AS user_id, g % 1000 AS object_id FROM generate_series(1, 100000) g;
SELECT state, message FROM message_of($$SELECT behavpred.create_graph('wide', 'wide')$$);
RESET behavpred.max_memory;
-- (the server's words for what is out of range are not the same in all versions)
SELECT state FROM message_of($$SET behavpred.max_memory = '1kB'$$);
SELECT min_val, max_val, unit FROM pg_settings WHERE name = 'behavpred.max_memory';
SET behavpred.threads = 0;

-- The names of the tables are taken; no schema to make them in.
CREATE TABLE shop_user_embedding (mine int);
SELECT * FROM behavpred.train_graph('shop', epochs => 0);
DROP TABLE shop_user_embedding;
SET search_path = nowhere;
SELECT * FROM behavpred.train_graph('shop', epochs => 0);
SET search_path = graph_errors, public;
SELECT epochs_run FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);
ALTER TABLE shop_user_embedding DROP COLUMN degree;
SELECT * FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);
DROP TABLE shop_user_embedding;
SELECT * FROM behavpred.evaluate_graph('shop', 'events');
SELECT epochs_run FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);

-- Evaluation.
SELECT * FROM behavpred.evaluate_graph('shop', 'events');
CREATE VIEW strangers AS SELECT user_id + 1000000 AS user_id, object_id FROM events;
SELECT * FROM behavpred.evaluate_graph('shop', 'strangers');
DROP VIEW strangers;
SELECT * FROM behavpred.evaluate_graph('shop', 'events', k => 0);
SELECT * FROM behavpred.evaluate_graph('shop', 'events', k => NULL);
SELECT * FROM behavpred.evaluate_graph('shop', NULL);
SELECT * FROM behavpred.evaluate_graph('shop', 'people');
CREATE VIEW other_keys AS SELECT user_id::text AS user_id, object_id FROM events;
SELECT * FROM behavpred.evaluate_graph('shop', 'other_keys');
UPDATE shop_user_embedding SET embedding = '{1,2}' WHERE user_id = 7;
SELECT * FROM behavpred.evaluate_graph('shop', 'events');
DELETE FROM shop_user_embedding;
SELECT * FROM behavpred.evaluate_graph('shop', 'events');

-- The source changes or goes.
SELECT behavpred.drop_graph('shop');
CREATE TABLE visits AS SELECT user_id, object_id::int AS object_id, kind FROM events;
SELECT edges FROM behavpred.create_graph('shop', 'visits', behavior_column => 'kind', behaviors => '{view}');
ALTER TABLE visits RENAME COLUMN user_id TO usr_id;
SELECT * FROM behavpred.train_graph('shop');
ALTER TABLE visits RENAME COLUMN usr_id TO user_id;
ALTER TABLE visits DROP COLUMN kind;
SELECT * FROM behavpred.describe_graph('shop');
ALTER TABLE visits ADD COLUMN kind text DEFAULT 'view';
ALTER TABLE visits ALTER COLUMN object_id TYPE bigint;
SELECT * FROM behavpred.describe_graph('shop');
ALTER TABLE visits ALTER COLUMN object_id TYPE text;
SELECT * FROM behavpred.describe_graph('shop');
ALTER TABLE visits ALTER COLUMN object_id TYPE smallint USING object_id::smallint;
SELECT value AS edges FROM behavpred.describe_graph('shop') WHERE property = 'edges';
ALTER TABLE visits RENAME TO old_visits;
SELECT * FROM behavpred.train_graph('shop');
-- With the schema the tables of vectors are renamed as well; the source is what is asked for.
ALTER TABLE old_visits RENAME TO visits;
SELECT epochs_run FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);
ALTER SCHEMA graph_errors RENAME TO renamed_errors;
SET search_path = renamed_errors, public;
SELECT * FROM behavpred.train_graph('shop');
ALTER SCHEMA renamed_errors RENAME TO graph_errors;
SET search_path = graph_errors, public;
ALTER TABLE visits RENAME TO old_visits;
DROP TABLE old_visits;
SELECT * FROM behavpred.describe_graph('shop');
SELECT * FROM behavpred.evaluate_graph('shop', 'events');
SELECT behavpred.drop_graph('shop');

-- Roles: creating is granted, everybody sees his own.
SELECT p.proname AS granted_by_an_administrator FROM pg_proc p
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'behavpred'
WHERE NOT has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY p.proname;
-- Every table keeps to row security, and every object has a comment; row types and arrays, members since PostgreSQL 17, go with theirs.
SELECT c.relname, c.relrowsecurity FROM pg_class c
WHERE c.relnamespace = 'behavpred'::regnamespace AND c.relkind = 'r' ORDER BY c.relname;
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment FROM pg_depend d
JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'behavpred'
WHERE d.deptype = 'e' AND d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass)
  AND NOT EXISTS (SELECT FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind <> 'r' AND c.relkind <> 'v')
  AND NOT EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
                  WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND (c.relkind <> 'c' OR t.typcategory = 'A'))
  AND obj_description(d.objid, d.classid::regclass::name) IS NULL
ORDER BY 1;
CREATE ROLE regress_behavpred_one;
CREATE ROLE regress_behavpred_two;
SET ROLE regress_behavpred_one;
SELECT * FROM behavpred.create_graph('shop', 'events');
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred TO regress_behavpred_one, regress_behavpred_two;
SET ROLE regress_behavpred_one;
SELECT * FROM behavpred.create_graph('shop', 'events');
RESET ROLE;
GRANT SELECT ON events, people TO regress_behavpred_one, regress_behavpred_two;
SET ROLE regress_behavpred_one;
SELECT edges FROM behavpred.create_graph('shop', 'events');
SELECT * FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);
RESET ROLE;
GRANT CREATE ON SCHEMA graph_errors TO regress_behavpred_one;
SET ROLE regress_behavpred_one;
SELECT user_embeddings FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);
SELECT tableowner FROM pg_tables WHERE tablename = 'shop_user_embedding';
REVOKE DELETE ON shop_user_embedding FROM CURRENT_USER;
SELECT user_embeddings FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);
GRANT DELETE ON shop_user_embedding TO CURRENT_USER;
BEGIN READ ONLY;
SELECT user_embeddings FROM behavpred.train_graph('shop', dimension => 4, epochs => 0);
ROLLBACK;
SELECT graph, owner FROM behavpred.graphs;
SELECT graph, owner, status FROM behavpred.runs;
SET ROLE regress_behavpred_two;
SELECT count(*) AS graphs FROM behavpred.graphs;
SELECT count(*) AS runs FROM behavpred.runs;
SELECT count(*) AS graphs FROM behavpred.registered_graph;
SELECT * FROM behavpred.describe_graph('shop');
SELECT * FROM behavpred.create_graph('shop', 'events');
SELECT behavpred.drop_graph('shop');
INSERT INTO behavpred.training_run (graph, owner, status, seed, threads, options)
VALUES ('shop', 'regress_behavpred_one', 'done', 1, 1, '{}');
RESET ROLE;
-- A superuser sees all graphs, but runs nothing that another role has registered.
SELECT graph, owner FROM behavpred.graphs WHERE graph = 'shop';
SELECT * FROM behavpred.describe_graph('shop');
SELECT behavpred.drop_graph('shop');
-- What somebody has written into the catalog by hand is looked up as a name.
SET ROLE regress_behavpred_one;
UPDATE behavpred.registered_graph SET interactions = '(SELECT 1 AS user_id, 2 AS object_id) x' WHERE graph = 'shop';
SELECT * FROM behavpred.describe_graph('shop');
UPDATE behavpred.registered_graph SET user_key_type = 'bigint[]', interactions = 'events' WHERE graph = 'shop';
SELECT * FROM behavpred.describe_graph('shop');
UPDATE behavpred.registered_graph SET user_key_type = 'bigint' WHERE graph = 'shop';
SELECT behavpred.drop_graph('shop');
RESET ROLE;

-- Row security: an error by default, also behind a view; or what the caller sees.
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON events USING (user_id <= 5);
CREATE VIEW behind AS SELECT * FROM events;
ALTER VIEW behind OWNER TO regress_behavpred_one;
GRANT SELECT ON behind TO regress_behavpred_two;
SET ROLE regress_behavpred_two;
SELECT * FROM behavpred.create_graph('shop', 'events');
SELECT * FROM behavpred.create_graph('shop', 'behind');
SELECT users_found FROM behavpred.create_graph('shop', 'events', row_security => 'apply');
SHOW row_security;
SELECT property, value FROM behavpred.describe_graph('shop') WHERE property = 'users';
SELECT behavpred.drop_graph('shop');
RESET ROLE;
SELECT users_found FROM behavpred.create_graph('shop', 'events');
SELECT behavpred.drop_graph('shop');

DROP SCHEMA graph_errors CASCADE;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA behavpred FROM regress_behavpred_one, regress_behavpred_two;
DROP ROLE regress_behavpred_one;
DROP ROLE regress_behavpred_two;
