-- lookalike(): users like those of a list; targets of several objects and of none.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;

CREATE TABLE like_events AS
SELECT u AS user_id, o AS object_id FROM generate_series(1, 600) u, generate_series(1, 60) o
WHERE abs(hashint8extended(u * 1000 + o, 7)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 30) THEN 55 ELSE 2 END;
CREATE TABLE like_seeds AS SELECT u AS user_id FROM generate_series(2, 200, 2) u;
SELECT users_found FROM behavpred.create_graph('like_graph', 'like_events');
\set VERBOSITY terse
SELECT * FROM behavpred.lookalike('like_graph', 'like_seeds');
\set VERBOSITY default
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('like_graph', dimension => 16, factors => 2, epochs => 3);

-- no target is made, nothing is written: it runs in a transaction that may not
BEGIN READ ONLY;
SELECT count(*), avg((user_key::int % 2 = 0)::int) > 0.95 AS finds_the_even, bool_or(user_key::int <= 200 AND user_key::int % 2 = 0) AS seeds,
       min(rank), max(rank), bool_and(probability BETWEEN 0 AND 1) AS probabilities, min(lift) > 0.5 AS lift
FROM behavpred.lookalike('like_graph', 'like_seeds', size => 150);
COMMIT;
SELECT count(*) FROM behavpred.targets;
SELECT count(*) FROM behavpred.runs WHERE target IS NOT NULL;

-- it is what a target with these seeds gives
SELECT behavpred.create_target('like_them', 'like_graph', seeds => 'like_seeds');
SELECT deployed FROM behavpred.train_target('like_them');
SELECT count(*), bool_and(a.user_key = b.user_key AND a.probability = b.probability AND a.lift = b.lift) AS same
FROM behavpred.lookalike('like_graph', 'like_seeds', fraction => 0.2) a
FULL JOIN behavpred.audience('like_them', fraction => 0.2) b USING (rank);
SELECT teacher FROM behavpred.models WHERE target = 'like_them';

-- conditions and arguments
SELECT bool_or(user_key::int <= 200 AND user_key::int % 2 = 0) AS seeds
FROM behavpred.lookalike('like_graph', 'like_seeds', 50, exclude_known => false, threads => 2);
CREATE TABLE like_some AS SELECT u AS user_id FROM generate_series(101, 600) u;
SELECT count(*), min(user_key::int) > 100 AS among_candidates
FROM behavpred.lookalike('like_graph', 'like_seeds', size => 100000, candidates => 'like_some');
SELECT count(*) FROM behavpred.lookalike('like_graph', 'like_seeds', 5, model => 'mlp', hidden => '{4}', calibration => 'isotonic',
  seed_weights => 'none', options => '{"epochs": 3}');

-- what is refused
CREATE TABLE like_few AS SELECT u AS user_id FROM generate_series(1, 12) u;
CREATE TABLE like_strangers AS SELECT u AS user_id FROM generate_series(5001, 5100) u;
CREATE TABLE like_all AS SELECT u AS user_id FROM generate_series(1, 600) u;
SELECT * FROM behavpred.lookalike('like_graph', 'like_few');
SELECT * FROM behavpred.lookalike('like_graph', 'like_strangers');
SELECT * FROM behavpred.lookalike('like_graph', 'like_all');
SELECT * FROM behavpred.lookalike('like_graph', 'like_seeds', candidates => 'like_strangers');
SELECT * FROM behavpred.lookalike('like_graph', 'like_events_too');
SELECT * FROM behavpred.lookalike('like_graph', NULL);
SELECT * FROM behavpred.lookalike(NULL, 'like_seeds');
SELECT * FROM behavpred.lookalike('like_graf', 'like_seeds');
SELECT * FROM behavpred.lookalike('like_graph', 'like_seeds', 0);
SELECT * FROM behavpred.lookalike('like_graph', 'like_seeds', model => 'tree');
BEGIN;
UPDATE like_graph_user_embedding SET embedding = array_fill(1::real, ARRAY[17]);
SELECT * FROM behavpred.lookalike('like_graph', 'like_seeds');
ROLLBACK;

-- an object that the graph has not seen: its seeds stand for it, and that is told
SELECT behavpred.create_target('new_object', 'like_graph', object => '4711', seeds => 'like_seeds');
RESET client_min_messages;
SELECT n_positive, auc > 0.7 AS auc FROM behavpred.train_target('new_object');
SET client_min_messages = warning;
SELECT teacher FROM behavpred.models WHERE target = 'new_object';
SELECT avg((user_key::int % 2 = 0)::int) > 0.95 AS finds_the_even FROM behavpred.audience('new_object', 100);

-- a set of objects from end to end
SELECT behavpred.create_target('a_set', 'like_graph', objects => '{3,4}');
SELECT n_positive = (SELECT count(DISTINCT user_id) FROM like_events WHERE object_id IN (3, 4)) AS all_of_both, deployed
FROM behavpred.train_target('a_set');
SELECT count(*) FILTER (WHERE user_key::int IN (SELECT user_id FROM like_events WHERE object_id IN (3, 4))) AS known,
       avg((user_key::int % 2 = 0)::int) > 0.9 AS finds_the_even
FROM behavpred.audience('a_set', 60);
SELECT behavpred.predict('a_set', 2) > behavpred.predict('a_set', 1) AS told_apart;

SELECT behavpred.drop_graph('like_graph');
DROP TABLE like_events, like_seeds, like_some, like_few, like_strangers, like_all;
