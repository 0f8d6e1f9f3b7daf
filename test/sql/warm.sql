-- Warm starts: the network that is kept, trainings that begin with it, and models that still fit.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA warm;
SET search_path = warm, public;
CREATE TABLE events AS
SELECT u AS user_id, o AS object_id FROM generate_series(1, 400) u, generate_series(1, 60) o
WHERE (u % 4 = o % 4 AND hashint8(u * 1000 + o) % 3 <> 0) OR hashint8(u * 1000 + o) % 31 = 0;
SELECT FROM behavpred.create_graph('warm', 'events');
SELECT FROM behavpred.create_target('likes_8', 'warm', object => '8');

SELECT * FROM behavpred.train_graph('warm', options => '{"warm_start": true}');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('warm', dimension => 16, epochs => 12, seed => 5);
SELECT version FROM behavpred.train_target('likes_8');
SELECT run_id = (SELECT trained_run FROM behavpred.graphs WHERE graph = 'warm') AS of_last_run, seed, bytes > 0 AS has_bytes
FROM behavpred.trained_network WHERE graph = 'warm';
CREATE TABLE before AS SELECT user_id, embedding, behavpred.predict('likes_8', user_id) AS p FROM warm_user_embedding;

-- What does not fit is refused.
SELECT * FROM behavpred.train_graph('warm', dimension => 16, seed => 6, options => '{"warm_start": true}');
SELECT * FROM behavpred.train_graph('warm', dimension => 8, seed => 5, options => '{"warm_start": true}');
SELECT * FROM behavpred.train_graph('warm', dimension => 16, seed => 5, options => '{"warm_start": true, "attention": "additive"}');

-- On the same data and without a step the vectors are the same.
SELECT epochs_run FROM behavpred.train_graph('warm', dimension => 16, seed => 5, epochs => 0, options => '{"warm_start": true}');
SELECT min(behavpred.cosine(b.embedding, e.embedding)) > 0.99999 AS same FROM before b JOIN warm_user_embedding e USING (user_id);

-- New edges, a new object and a new user: the model still fits, and says how well.
INSERT INTO events SELECT u, 61 FROM generate_series(4, 400, 16) u;
INSERT INTO events SELECT 401, o FROM generate_series(4, 60, 4) o;
INSERT INTO events SELECT u, o FROM generate_series(1, 400) u, generate_series(1, 60) o WHERE u % 4 = o % 4 AND hashint8(u * 1000 + o) % 27 = 0;
SELECT epochs_run FROM behavpred.train_graph('warm', dimension => 16, seed => 5, epochs => 2, options => '{"warm_start": true}');
SELECT usable, vector_cosine BETWEEN 0.9 AND 1 AS near FROM behavpred.models WHERE target = 'likes_8';
SELECT corr(p, behavpred.predict('likes_8', user_id)) > 0.9 AS as_before FROM before;
SELECT count(*) FROM behavpred.health WHERE name = 'stale models' AND NOT ok;
-- The newcomer is where those of his kind are.
SELECT behavpred.predict('likes_8', 401) > behavpred.predict('likes_8', 398) AS fits_in;
-- The new version is compared with the one of before.
SELECT version FROM behavpred.train_target('likes_8');
SELECT version, metrics ->> 'incumbent_auc' IS NOT NULL AS compared FROM behavpred.models WHERE target = 'likes_8' ORDER BY 1;

-- A training from scratch ends that, as ever; so do vectors that have moved too far.
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('warm', dimension => 16, epochs => 2, seed => 77);
\set VERBOSITY terse
SELECT behavpred.predict('likes_8', 7);
\set VERBOSITY default
SELECT version, usable FROM behavpred.models WHERE target = 'likes_8' ORDER BY 1;
SELECT version FROM behavpred.train_target('likes_8');
UPDATE behavpred.vector_succession SET warm = true, user_cosine = 0.5 WHERE graph = 'warm';
DO $$ BEGIN PERFORM behavpred.deploy('likes_8', 1); EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE INFO '%', SQLERRM; END $$;

-- A network that is not kept, and one that is damaged.
SELECT epochs_run FROM behavpred.train_graph('warm', dimension => 16, epochs => 1, seed => 77, options => '{"keep_network": false}');
SELECT count(*) FROM behavpred.trained_network_part WHERE graph = 'warm';
SELECT epochs_run FROM behavpred.train_graph('warm', dimension => 16, epochs => 1, seed => 77);
UPDATE behavpred.trained_network_part SET data = set_byte(data, 200, get_byte(data, 200) # 1) WHERE graph = 'warm' AND kind = 'users';
SELECT * FROM behavpred.train_graph('warm', dimension => 16, epochs => 1, seed => 77, options => '{"warm_start": true}');
SELECT behavpred.forget_user('warm', 3);
DROP SCHEMA warm CASCADE;
SELECT behavpred.drop_graph('warm');
SELECT count(*) FROM behavpred.trained_network WHERE graph = 'warm';
