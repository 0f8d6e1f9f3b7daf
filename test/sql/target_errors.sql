-- What is wrong with a target is said with a message, a detail and a hint.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;

CREATE TABLE bad_events AS
SELECT u AS user_id, o AS object_id
FROM generate_series(1, 300) u, generate_series(1, 30) o
WHERE abs(hashint8extended(u * 1000 + o, 7)) % 100 < 20
   OR o = 30                        -- everybody
   OR (o = 29 AND u <= 50);         -- fewer than a hundred
DELETE FROM bad_events WHERE object_id = 28 AND user_id > 30;
CREATE TABLE bad_users (user_id int);
CREATE TABLE bad_two_columns (a int, b int);
CREATE TABLE bad_text_users (user_id uuid);

SELECT behavpred.create_target('t', 'no_such_graph', object => '1');
SELECT users_found FROM behavpred.create_graph('bad_graph', 'bad_events');
SELECT behavpred.create_target('t', 'bad_graph');
SELECT behavpred.create_target(NULL, 'bad_graph', object => '1');
SELECT behavpred.create_target('', 'bad_graph', object => '1');
SELECT behavpred.create_target('t', 'bad_graph', object => '4711');
SELECT behavpred.create_target('t', 'bad_graph', object => 'shoes');
SELECT behavpred.create_target('t', 'bad_graph', object => 4711);
SELECT behavpred.create_target('t', 'bad_graph', object => 1.5);
SELECT behavpred.create_target('t', 'bad_graph', object => NULL::int);
SELECT behavpred.create_target('t', 'bad_graph', object => '1', horizon => '7 days');
CREATE VIEW bad_timed AS SELECT *, now() AS happened FROM bad_events;
SELECT users_found FROM behavpred.create_graph('bad_timed_graph', 'bad_timed', time_column => 'happened');
SELECT behavpred.create_target('t', 'bad_timed_graph', object => '1', horizon => '-7 days');
SELECT behavpred.drop_graph('bad_timed_graph');
DROP VIEW bad_timed;
SELECT behavpred.create_target('t', 'bad_graph', objects => '{1,2,4711}');
SELECT behavpred.create_target('t', 'bad_graph', objects => array_fill('1'::text, ARRAY[10001]));
SELECT behavpred.create_target('t', 'bad_graph', seeds => 'bad_two_columns');
SELECT behavpred.create_target('t', 'bad_graph', seeds => 'bad_text_users');

SELECT behavpred.create_target('t', 'bad_graph', object => '1');
SELECT behavpred.create_target('t', 'bad_graph', object => '1');
SELECT * FROM behavpred.train_target('t');
SELECT behavpred.predict('t', 1);
SELECT epochs_run > 0 AS trained
FROM behavpred.train_graph('bad_graph', dimension => 8, factors => 2, epochs => 3);
SELECT behavpred.predict('t', 1);
SELECT behavpred.predict('tt', 1);
SELECT * FROM behavpred.audience('t');
SELECT * FROM behavpred.train_target('tt');
SELECT * FROM behavpred.train_target(NULL);
SELECT * FROM behavpred.train_target('t', model => 'forest');
SELECT * FROM behavpred.train_target('t', hidden => '{4}');
SELECT * FROM behavpred.train_target('t', model => 'mlp', hidden => '{}');
SELECT * FROM behavpred.train_target('t', model => 'mlp', hidden => '{0}');
SELECT * FROM behavpred.train_target('t', soft_weight => 1.5);
SELECT * FROM behavpred.train_target('t', soft_weight => 'NaN');
SELECT * FROM behavpred.train_target('t', seed_weights => 'isolation_florest');
SELECT * FROM behavpred.train_target('t', negative_ratio => 0);
SELECT * FROM behavpred.train_target('t', calibration => 'plat');
SELECT * FROM behavpred.train_target('t', threads => 0);
SELECT * FROM behavpred.train_target('t', options => '{"learning_rte": 0.1}');
SELECT * FROM behavpred.train_target('t', options => '{"ridge": -1}');
SELECT * FROM behavpred.train_target('t', options => '{"soft_weight": 0}');
SELECT * FROM behavpred.train_targets(targets => '{t,NULL}');
SELECT behavpred.deploy(NULL, 1);
SELECT behavpred.deploy('t', NULL);
SELECT behavpred.rollback(NULL);
SELECT behavpred.drop_target(NULL);

-- too few, all, none
SELECT behavpred.create_target('few', 'bad_graph', object => '28');
SELECT * FROM behavpred.train_target('few');
SELECT behavpred.create_target('everybody', 'bad_graph', object => '30');
SELECT * FROM behavpred.train_target('everybody');
SELECT behavpred.create_target('no_seeds', 'bad_graph', seeds => 'bad_users');
SELECT * FROM behavpred.train_target('no_seeds');
CREATE TABLE bad_strangers AS SELECT u AS user_id FROM generate_series(1001, 1050) u;
SELECT behavpred.create_target('strangers', 'bad_graph', seeds => 'bad_strangers');
SELECT * FROM behavpred.train_target('strangers');
CREATE TABLE bad_some_strangers AS SELECT u AS user_id FROM generate_series(1, 30) u UNION ALL TABLE bad_strangers;
SELECT behavpred.create_target('some_strangers', 'bad_graph', seeds => 'bad_some_strangers');
SET client_min_messages = notice;
SELECT version FROM behavpred.train_target('some_strangers');
SELECT count(*) FROM behavpred.lookalike('bad_graph', 'bad_some_strangers', size => 5);
SET client_min_messages = warning;
SELECT behavpred.create_target('no_candidates', 'bad_graph', object => '1', candidates => 'bad_strangers');
SELECT * FROM behavpred.train_target('no_candidates');
SELECT behavpred.create_target('no_negatives', 'bad_graph', object => '1', negatives => 'bad_users');
SELECT * FROM behavpred.train_target('no_negatives');
SELECT behavpred.create_target('some', 'bad_graph', object => '29');
SELECT deployed FROM behavpred.train_target('some');

-- known to the graph's training, but for too few of its users to be measured by those it shielded
BEGIN;
CREATE VIEW bad_few AS
(SELECT user_id FROM bad_events WHERE object_id = 1 ORDER BY user_id LIMIT 22)
UNION ALL
(SELECT DISTINCT user_id FROM bad_events e WHERE NOT EXISTS (SELECT FROM bad_events WHERE object_id = 1 AND user_id = e.user_id) ORDER BY user_id LIMIT 150);
SELECT behavpred.create_target('few_known', 'bad_graph', object => '1', candidates => 'bad_few');
SELECT epochs_run FROM behavpred.train_graph('bad_graph', dimension => 8, factors => 2, epochs => 1);
SET LOCAL client_min_messages = notice;
SELECT test_basis FROM behavpred.train_target('few_known');
ROLLBACK;

-- features that are the same for everybody tell nothing, and do no harm
CREATE TABLE bad_features AS SELECT u AS user_id, 5 AS age, 'se'::text AS country FROM generate_series(1, 300) u;
SELECT users_found FROM behavpred.create_graph('equal_graph', 'bad_events', users => 'bad_features', user_features => '{age,country}');
SELECT behavpred.create_target('equal', 'equal_graph', object => '1');
SELECT epochs_run FROM behavpred.train_graph('equal_graph', dimension => 8, factors => 2, epochs => 1);
SET client_min_messages = error;
SELECT auc BETWEEN 0 AND 1 AS auc, log_loss > 0 AS log_loss FROM behavpred.train_target('equal');
SET client_min_messages = warning;
SELECT behavpred.predict('equal', 1) BETWEEN 0 AND 1 AS predicts;
SELECT behavpred.drop_graph('equal_graph');

-- a transaction that may not write is told so before the work
BEGIN READ ONLY;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
BEGIN READ ONLY;
SELECT behavpred.create_target('u', 'bad_graph', object => '1');
ROLLBACK;
BEGIN READ ONLY;
SELECT behavpred.drop_target('t');
ROLLBACK;
BEGIN READ ONLY;
SELECT behavpred.drop_graph('bad_graph');
ROLLBACK;

-- embeddings that somebody has changed: collapsed, of another length, not finite
SET client_min_messages = error;
BEGIN;
UPDATE bad_graph_user_embedding SET embedding = array_fill(1::real, ARRAY[10]);
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
BEGIN;
UPDATE bad_graph_user_embedding SET embedding = embedding[1:3] WHERE user_id = 7;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
BEGIN;
UPDATE bad_graph_user_embedding SET embedding = embedding || embedding;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
BEGIN;
UPDATE bad_graph_user_embedding SET embedding[2] = 'NaN' WHERE user_id % 3 = 0;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
BEGIN;
UPDATE bad_graph_object_embedding SET embedding[2] = 'NaN' WHERE object_id = 1;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
RESET client_min_messages;

-- a key column that has another type now, for the user and for the object
BEGIN;
ALTER TABLE bad_events ALTER user_id TYPE text;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
BEGIN;
ALTER TABLE bad_events ALTER user_id TYPE bigint;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;
BEGIN;
ALTER TABLE bad_events ALTER object_id TYPE text;
SELECT * FROM behavpred.train_target('t');
ROLLBACK;

-- sources that have gone
DROP TABLE bad_users;
SELECT * FROM behavpred.train_target('no_seeds');
DROP TABLE bad_events;
SELECT * FROM behavpred.train_target('t');
SELECT behavpred.drop_target('tt');
SELECT behavpred.drop_graph('bad_graph');
DROP TABLE bad_two_columns, bad_text_users, bad_strangers, bad_some_strangers, bad_features;
