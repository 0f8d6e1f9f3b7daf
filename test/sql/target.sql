-- Targets: definition, training, versions, and what the models are good for.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
RESET client_min_messages;

-- Two groups of users: the even like objects 1 to 30, the odd 31 to 60; everybody does
-- some of the other group's. A hash of the pair decides, so the data never change.
CREATE TABLE target_events AS
SELECT u AS user_id, o AS object_id, timestamptz '2024-01-01' + make_interval(days => u % 50) AS happened
FROM generate_series(1, 600) u, generate_series(1, 60) o
WHERE abs(hashint8extended(u * 1000 + o, 7)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 30) THEN 55 ELSE 2 END;
SELECT users_found, objects_found, edges > 5000 AS enough
FROM behavpred.create_graph('target_graph', 'target_events', time_column => 'happened');
SELECT epochs_run > 0 AS trained
FROM behavpred.train_graph('target_graph', dimension => 16, factors => 2, epochs => 3);

-- A target that is younger than the graph's training is measured on users that the graph
-- has seen with the object, and that is said. After a training that knows the target, half
-- of its users are shielded.
SELECT behavpred.create_target('likes_5', 'target_graph', object => '5');
SELECT n_positive > 90 AS positives, auc > 0.7 AS auc, test_basis FROM behavpred.train_target('likes_5', options => '{"deploy": "never"}');
SET client_min_messages = warning;
SELECT epochs_run > 0 AS trained
FROM behavpred.train_graph('target_graph', dimension => 16, factors => 2, epochs => 12);
SELECT result ->> 'target_objects' AS target_objects, result ->> 'target_fraction' AS target_fraction,
       (result ->> 'shielded_edges')::int BETWEEN 50 AND 110 AS half_is_shielded
FROM behavpred.runs WHERE graph = 'target_graph' AND target IS NULL ORDER BY run_id DESC LIMIT 1;

-- one object
SELECT version, n_positive > 90 AS positives, n_negative > 200 AS negatives, auc > 0.7 AS auc,
       teacher_auc > 0.7 AS teacher, activity_auc IS NOT NULL AS activity,
       pr_auc > 0.4 AS pr_auc, log_loss < 0.6 AS log_loss, ece < 0.2 AS ece, test_basis, deployed
FROM behavpred.train_target('likes_5');

-- probabilities tell the groups apart and refer to the population
SELECT avg(p) FILTER (WHERE even) > 3 * avg(p) FILTER (WHERE NOT even) AS told_apart,
       abs(avg(p) - (SELECT count(DISTINCT user_id) / 600.0 FROM target_events WHERE object_id = 5)) < 0.05 AS calibrated
FROM (SELECT behavpred.predict('likes_5', u) AS p, u % 2 = 0 AS even FROM generate_series(1, 600) u) AS predicted;

-- the same seed gives the same model; another gives another
SELECT version, deployed FROM behavpred.train_target('likes_5', options => '{"deploy": "never"}');
SELECT version FROM behavpred.train_target('likes_5', seed => 7, options => '{"deploy": "never"}');
SELECT a.model::text = b.model::text AS same, a.model::text = c.model::text AS other_seed
FROM behavpred.trained_model a, behavpred.trained_model b, behavpred.trained_model c
WHERE a.target = 'likes_5' AND b.target = 'likes_5' AND c.target = 'likes_5'
  AND a.version = 2 AND b.version = 3 AND c.version = 4;
SELECT target, graph, deployed_version FROM behavpred.targets WHERE target = 'likes_5';

-- every option
SELECT auc > 0.7 AS auc FROM behavpred.train_target('likes_5', model => 'mlp', hidden => '{8,4}', negative_ratio => 10);
SELECT auc > 0.7 AS auc FROM behavpred.train_target('likes_5', soft_weight => 0, seed_weights => 'none');
SELECT auc > 0.7 AS auc FROM behavpred.train_target('likes_5', soft_weight => 1);
SELECT auc > 0.7 AS auc FROM behavpred.train_target('likes_5', calibration => 'isotonic');
SELECT auc > 0.7 AS auc FROM behavpred.train_target('likes_5', calibration => 'none', negative_ratio => 1);
SELECT auc > 0.7 AS auc FROM behavpred.train_target('likes_5',
  options => '{"seed_weight_scale": "raw", "soft_temperature": 2, "ridge": 0.1, "iterations": 50, "deploy": "always"}');
SELECT auc > 0.7 AS auc FROM behavpred.train_target('likes_5', options => '{"seed_weight_scale": "spread"}', threads => 2);

-- several objects, a horizon, candidates, named negatives
SELECT behavpred.create_target('likes_some', 'target_graph', objects => '{5,6,7}');
SELECT n_positive > 250 AS more, auc > 0.7 AS auc FROM behavpred.train_target('likes_some');
SELECT behavpred.create_target('likes_5_lately', 'target_graph', object => '5', horizon => '20 days');
SELECT t.n_positive = (SELECT count(DISTINCT user_id) FROM target_events
                       WHERE object_id = 5 AND happened >= timestamptz '2024-01-01' + interval '29 days') AS within_horizon
FROM (SELECT n_positive FROM behavpred.train_target('likes_5_lately')) AS t;
CREATE TABLE target_some_users AS SELECT u AS user_id FROM generate_series(1, 400) u;
CREATE TABLE target_others AS SELECT u AS user_id FROM generate_series(1, 599, 2) u;
SELECT behavpred.create_target('likes_5_some', 'target_graph', object => '5',
                               candidates => 'target_some_users', negatives => 'target_others');
SELECT t.n_positive = (SELECT count(DISTINCT user_id) FROM target_events WHERE object_id = 5 AND user_id <= 400) AS among_candidates,
       t.n_negative <= 200 AS named_negatives
FROM (SELECT n_positive, n_negative FROM behavpred.train_target('likes_5_some')) AS t;

-- seeds without an object: their mean stands for it
CREATE TABLE target_seeds AS SELECT u AS user_id FROM generate_series(2, 300, 2) u;
SELECT behavpred.create_target('like_the_even', 'target_graph', seeds => 'target_seeds');
RESET client_min_messages;
SELECT n_positive, auc > 0.7 AS auc, test_basis FROM behavpred.train_target('like_the_even');
SET client_min_messages = warning;
SELECT avg((user_key::int % 2 = 0)::int) > 0.9 AS finds_the_even, count(*), min(user_key::int) > 0 AS keys
FROM behavpred.audience('like_the_even', size => 100);

-- objects are kept once each, as their type prints them
SELECT behavpred.create_target('likes_5_again', 'target_graph', object => '5', objects => '{005,5,NULL,+5}');
SELECT objects FROM behavpred.registered_target WHERE target = 'likes_5_again';

-- the run's record has what it takes to make the same model again
SELECT version FROM behavpred.train_target('likes_5_again', model => 'mlp', hidden => '{8,4}', seed => 3,
  options => '{"epochs": 5, "batch_size": 64, "learning_rate": 0.02, "deploy": "never"}');
SELECT seed, options FROM behavpred.runs WHERE target = 'likes_5_again';

-- the order of rows in the embedding table does not matter, nor the number of threads
SELECT version FROM behavpred.train_target('likes_5_again', options => '{"deploy": "always"}');
UPDATE target_graph_user_embedding SET degree = degree WHERE user_id % 3 = 0;
SELECT version FROM behavpred.train_target('likes_5_again', threads => 2, options => '{"deploy": "always"}');
SELECT a.model::text = b.model::text AS same
FROM behavpred.trained_model a, behavpred.trained_model b
WHERE a.target = 'likes_5_again' AND b.target = 'likes_5_again' AND a.version = 2 AND b.version = 3;

-- a user of the negatives relation who did it is positive all the same
CREATE TABLE target_everybody AS SELECT u AS user_id FROM generate_series(1, 600) u;
SELECT behavpred.create_target('likes_5_or_not', 'target_graph', object => '5', negatives => 'target_everybody');
SELECT t.n_positive = d.n AS positives, t.n_positive + t.n_negative BETWEEN 300 AND 600 AS nobody_twice
FROM (SELECT n_positive, n_negative FROM behavpred.train_target('likes_5_or_not')) AS t,
     (SELECT count(DISTINCT user_id) AS n FROM target_events WHERE object_id = 5) AS d;

-- operators that somebody has put into search_path are not called
CREATE SCHEMA target_hostile;
CREATE FUNCTION target_hostile.equal(int, int) RETURNS boolean LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'the operator of target_hostile was called'; END $$;
CREATE OPERATOR target_hostile.= (LEFTARG = int, RIGHTARG = int, FUNCTION = target_hostile.equal);
CREATE FUNCTION target_hostile.later(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'the operator of target_hostile was called'; END $$;
CREATE OPERATOR target_hostile.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = target_hostile.later);
SET search_path = target_hostile, pg_catalog, public;
SELECT behavpred.create_target('hostile', 'target_graph', objects => '{5,6}', horizon => '30 days',
                               candidates => 'target_some_users', negatives => 'target_others');
SELECT auc IS NOT NULL AS trained FROM behavpred.train_target('hostile');
SELECT count(*) FROM behavpred.audience('hostile', size => 5);
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA target_hostile CASCADE;

-- every type of key: the same users are found
CREATE PROCEDURE target_train_keys(user_type text, object_type text, digits text) LANGUAGE plpgsql AS $$
DECLARE
  found bigint;
  expected bigint;
BEGIN
  EXECUTE format('CREATE TABLE target_typed AS SELECT (%1$L || lpad(user_id::text, %4$s, %5$L))::%2$s AS user_id, '
                 '(%1$L || lpad(object_id::text, %4$s, %5$L))::%3$s AS object_id FROM target_events',
                 digits, user_type, object_type, CASE WHEN digits = '' THEN 3 ELSE 12 END, '0');
  PERFORM behavpred.create_graph('target_typed', 'target_typed');
  PERFORM behavpred.create_target('typed', 'target_typed',
                                  objects => (SELECT array_agg(DISTINCT object_id::text) FROM target_typed
                                              WHERE object_id::text ~ '0*[56]$' AND object_id::text !~ '[1-9].$'),
                                  candidates => 'target_typed');
  PERFORM behavpred.train_graph('target_typed', dimension => 8, factors => 2, epochs => 1);
  SELECT n_positive INTO found FROM behavpred.train_target('typed');
  SELECT count(DISTINCT user_id) INTO expected FROM target_events WHERE object_id IN (5, 6);
  RAISE WARNING 'users %, objects %: %', user_type, object_type,
    CASE WHEN found = expected THEN 'all found' ELSE format('%s of %s found', found, expected) END;
  PERFORM behavpred.drop_graph('target_typed');
  DROP TABLE target_typed;
END
$$;
\set VERBOSITY terse
CALL target_train_keys('smallint', 'bigint', '');
CALL target_train_keys('bigint', 'smallint', '');
CALL target_train_keys('int', 'text', '');
CALL target_train_keys('text', 'int', '');
CALL target_train_keys('varchar(20)', 'varchar(20)', '');
CALL target_train_keys('uuid', 'text', '00000000-0000-0000-0000-');
CALL target_train_keys('text', 'uuid', '00000000-0000-0000-0000-');
\set VERBOSITY default
DROP PROCEDURE target_train_keys;

-- a model of an earlier training of the graph is not used
SELECT epochs_run > 0 AS trained
FROM behavpred.train_graph('target_graph', dimension => 16, factors => 2, epochs => 2);
\set VERBOSITY terse
SELECT behavpred.predict('likes_5', 1);
SELECT count(*) FROM behavpred.audience('likes_5', size => 10);
\set VERBOSITY default
SELECT deployed FROM behavpred.train_target('likes_5');
SELECT behavpred.predict('likes_5', 1) BETWEEN 0 AND 1 AS predicts_again;

SELECT behavpred.drop_target('likes_5');
SELECT count(*) FROM behavpred.trained_model WHERE target = 'likes_5';
SELECT behavpred.drop_graph('target_graph');
SELECT count(*) FROM behavpred.targets;
DROP TABLE target_events, target_some_users, target_others, target_seeds, target_everybody;
