-- Folding in: new users and objects, changed ones, and those that are gone.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA refresh;
SET search_path = refresh;

-- Four groups of users, each with objects of its own.
CREATE TABLE events (user_id int, object_id text, at timestamptz);
INSERT INTO events
SELECT u, 'o' || (u % 4 * 10 + (u * 7 + k * k * 3) % 10), '2026-01-01'::timestamptz + u * interval '1 minute'
FROM generate_series(1, 400) u, generate_series(1, 7) k;
SELECT users_found, objects_found FROM behavpred.create_graph('shop', 'events', time_column => 'at');
SELECT behavpred.refresh('shop', users => '{1}');
SELECT behavpred.embed('shop', ARRAY['o1']);
CALL behavpred.run_refresh('shop');
SELECT epochs_run FROM behavpred.train_graph('shop', dimension => 16, epochs => 5, temperature => 0.3, patience => 0, seed => 3);

-- Who is like whom: the group of the best object for a user, the share of users with their own.
CREATE FUNCTION right_group(first int, last int) RETURNS numeric LANGUAGE sql AS $$
  SELECT round(avg((best = user_id % 4)::int), 1)
  FROM (SELECT DISTINCT ON (u.user_id) u.user_id, substr(o.object_id, 2)::int / 10 AS best
        FROM shop_user_embedding u, shop_object_embedding o
        WHERE u.user_id BETWEEN first AND last AND o.object_id ~ '^o[0-9]'
        ORDER BY u.user_id, behavpred.dot(u.embedding, o.embedding) DESC) x
$$;
SELECT right_group(1, 400);

-- embed(): a vector like those of the group; the same, however the neighbours are written.
SELECT cardinality(behavpred.embed('shop', ARRAY['o1', 'o2'])) AS numbers,
       behavpred.embed('shop', ARRAY['o1', 'o2', 'o2', NULL, 'nowhere']) = behavpred.embed('shop', ARRAY['o1', 'o2']) AS repeats,
       behavpred.embed('shop', '{o1,o2}') = behavpred.embed('shop', ARRAY['o1', 'o2']) AS text,
       behavpred.embed('shop', ARRAY['o1', 'o12'], ARRAY[2, 0]::real[]) = behavpred.embed('shop', ARRAY['o1']) AS weights,
       behavpred.embed('shop', ARRAY['nowhere']) IS NULL AS unknown, behavpred.embed('shop', '{}'::text[]) IS NULL AS none;
SELECT bool_and(behavpred.cosine(behavpred.embed('shop', ARRAY['o1', 'o2', 'o3']), u.embedding) > 0.5) AS near
FROM shop_user_embedding u WHERE u.user_id % 4 = 0;
SELECT bool_and(behavpred.cosine((behavpred.embed('shop', ARRAY[4, 8, 12], as_object => true))[1:16], o.embedding[1:16]) > 0.5) AS near
FROM shop_object_embedding o WHERE substr(o.object_id, 2)::int < 10;
SELECT behavpred.embed('shop', ARRAY['o1', 'o2'], ARRAY[1]::real[]);
SELECT behavpred.embed('shop', ARRAY['o1', 'o2'], ARRAY[1, 'NaN']::real[]);
SELECT behavpred.embed('shop', ARRAY[1.5]);

-- refresh(): new, unchanged, gone, and without a known neighbour. Twice gives the same, but for rounding.
INSERT INTO events SELECT u, 'o' || (u % 4 * 10 + (u * 7 + k * 3) % 10), now() FROM generate_series(401, 440) u, generate_series(1, 5) k;
INSERT INTO events VALUES (500, 'new', now());
DELETE FROM events WHERE user_id = 7;
CREATE TABLE before AS SELECT * FROM shop_user_embedding;
SELECT users_refreshed, users_added, users_removed, objects_refreshed, left_out, interactions_read
FROM behavpred.refresh('shop', users => ARRAY(SELECT u::text FROM generate_series(401, 440) u) || '{1,7,7,500,999}');
SELECT right_group(401, 440);
SELECT behavpred.cosine(a.embedding[1:16], b.embedding[1:16]) > 0.8 AS near, a.degree = b.degree AS degree
FROM before a JOIN shop_user_embedding b USING (user_id) WHERE user_id = 1;
CREATE TABLE once AS SELECT * FROM shop_user_embedding;
SELECT users_refreshed FROM behavpred.refresh('shop', users => '{1,401}');
SELECT count(*) FILTER (WHERE once.embedding = n.embedding) >= 437 AS others_stay,
       bool_and(behavpred.cosine(once.embedding, n.embedding) > 0.99999) AS same
FROM once JOIN shop_user_embedding n USING (user_id);
SELECT objects_refreshed, objects_added, left_out FROM behavpred.refresh('shop', objects => '{new,o1}');
INSERT INTO events VALUES (401, 'new', now()), (405, 'new', now());
SELECT objects_refreshed, objects_added, users_refreshed, left_out FROM behavpred.refresh('shop', users => '{500}', objects => '{new}');
SELECT behavpred.refresh('shop', users => '{seven}');
SELECT users_refreshed FROM behavpred.refresh('shop');

-- run_refresh(): what the triggers saw; a table that is emptied loses all its users.
SELECT behavpred.capture_changes('shop');
INSERT INTO events SELECT u, 'o' || (u % 4 * 10 + (u * 7 + k * 3) % 10), now() FROM generate_series(601, 640) u, generate_series(1, 5) k;
INSERT INTO events SELECT u, 'fresh', now() FROM generate_series(1, 40) u;
DELETE FROM events WHERE user_id = 8;
SET client_min_messages = notice;
CALL behavpred.run_refresh('shop', batch => 10);
CALL behavpred.run_refresh('shop', batch => 1000);
CREATE INDEX events_user ON events (user_id);
INSERT INTO events VALUES (1, 'o1', now());
CALL behavpred.run_refresh('shop');
SET client_min_messages = warning;
SELECT right_group(601, 640), right_group(1, 40) > 0.8 AS as_before;
SELECT count(*) FROM shop_object_embedding WHERE object_id = 'fresh';
SELECT entries FROM behavpred.freshness WHERE graph = 'shop';
CALL behavpred.run_refresh('shop', max_seconds => -1);
BEGIN;
CALL behavpred.run_refresh('shop');
ROLLBACK;

-- On demand the objects at the other end come along: those with a vector as well.
CREATE TABLE kept AS SELECT * FROM shop_object_embedding;
INSERT INTO events SELECT u, 'o' || k, now() FROM generate_series(1, 30) u, generate_series(10, 12) k WHERE u % 4 = 1;
SET client_min_messages = notice;
CALL behavpred.run_refresh('shop', neighbours => true);
SET client_min_messages = warning;
SELECT count(*) AS objects, count(*) FILTER (WHERE k.degree < o.degree AND k.embedding <> o.embedding) AS anew, count(*) FILTER (WHERE k.embedding = o.embedding) AS kept,
       min(behavpred.cosine(k.embedding[1:16], o.embedding[1:16])) > 0.5 AS near
FROM kept k JOIN shop_object_embedding o USING (object_id);

-- In whatever order the rows of the tables stand, a refresh gives the same: its samples are drawn by keys.
CREATE TABLE visits AS SELECT u AS user_id, (u * 7 + k * k * 3) % (20 + u % 20) AS object_id FROM generate_series(1, 2000) u, generate_series(1, 12) k WHERE k <= 2 + u % 11;
SELECT users_found FROM behavpred.create_graph('orders', 'visits');
SELECT epochs_run FROM behavpred.train_graph('orders', dimension => 8, epochs => 2, seed => 3);
CREATE TABLE users_turned AS TABLE orders_user_embedding;
CREATE TABLE objects_turned AS TABLE orders_object_embedding;
SELECT users_refreshed FROM behavpred.refresh('orders', users => ARRAY(SELECT u::text FROM generate_series(1, 20) u));
CREATE TABLE in_order AS SELECT user_id, embedding[10] AS activity FROM orders_user_embedding;
TRUNCATE orders_user_embedding, orders_object_embedding;
INSERT INTO orders_user_embedding SELECT * FROM users_turned ORDER BY user_id * 7919 % 2003;
INSERT INTO orders_object_embedding SELECT * FROM objects_turned ORDER BY object_id DESC;
SELECT users_refreshed FROM behavpred.refresh('orders', users => ARRAY(SELECT u::text FROM generate_series(1, 20) u));
SELECT max(abs(i.activity - o.embedding[10])) < 1e-5 AS same_activities FROM in_order i JOIN orders_user_embedding o USING (user_id);
SELECT behavpred.drop_graph('orders');

-- By time: younger rows, and those within the overlap.
SELECT behavpred.capture_changes('shop', 'time', '1 hour');
INSERT INTO events SELECT 700, 'o' || k, now() + interval '1 second' FROM generate_series(1, 5) k;
INSERT INTO events SELECT 701, 'o' || k, now() - interval '3 hours' FROM generate_series(1, 5) k;
CALL behavpred.run_refresh('shop');
SELECT user_id FROM shop_user_embedding WHERE user_id >= 700;

TRUNCATE events;
INSERT INTO events SELECT 1, 'o' || k, now() FROM generate_series(1, 5) k;
SELECT behavpred.capture_changes('shop');
TRUNCATE events;
INSERT INTO events SELECT 2, 'o' || k, now() FROM generate_series(1, 5) k;
CALL behavpred.run_refresh('shop');
SELECT user_id, degree FROM shop_user_embedding;
SELECT behavpred.drop_graph('shop');

-- Features: they make a vector with the interactions, and without any.
CREATE TABLE clicks (user_id int, object_id int);
INSERT INTO clicks SELECT u, u % 4 * 10 + (u * 7 + k * k * 3) % 10 FROM generate_series(1, 400) u, generate_series(1, 6) k;
CREATE TABLE people (user_id int PRIMARY KEY, age int, plan text, taste real[], member boolean);
INSERT INTO people SELECT u, CASE WHEN u % 50 > 0 THEN 20 + u % 4 * 10 + u % 3 END, 'plan ' || u % 4, ARRAY[u % 4, u % 2], u % 2 = 0
FROM generate_series(1, 400) u;
SELECT users_found FROM behavpred.create_graph('people', 'clicks', users => 'people');
SELECT epochs_run FROM behavpred.train_graph('people', dimension => 16, epochs => 20, patience => 0, seed => 3);
SELECT user_features, cardinality(user_scales) AS scales FROM behavpred.trained_network WHERE graph = 'people';
CREATE FUNCTION group_of(v real[]) RETURNS int LANGUAGE sql AS $$
  SELECT object_id / 10 FROM people_object_embedding ORDER BY behavpred.dot(v, embedding) DESC LIMIT 1
$$;
-- a user of the training comes near his own vector; by features alone the group is found
CREATE TABLE folded AS SELECT user_id, embedding, state FROM people_user_embedding;
SELECT users_refreshed, users_added FROM behavpred.refresh('people', users => ARRAY(SELECT u::text FROM generate_series(1, 400) u));
SELECT avg(behavpred.cosine(f.embedding[1:16], u.embedding[1:16])) > 0.95 AS near FROM folded f JOIN people_user_embedding u USING (user_id);
SELECT count(*) FILTER (WHERE g = group_of(behavpred.embed('people', '{}'::int[], features => f))) AS found, count(*) AS of
FROM generate_series(0, 3) g, jsonb_build_object('age', 20 + g * 10, 'plan', 'plan ' || g, 'taste', ARRAY[g, g % 2], 'member', g % 2 = 0) f;
SELECT behavpred.embed('people', ARRAY[11, 12], features => '{"plan": "plan 1"}') <> behavpred.embed('people', ARRAY[11, 12]) AS features_count,
       behavpred.embed('people', '{}'::int[], features => '{}') IS NOT NULL AS all_missing,
       behavpred.embed('people', '{}'::int[], features => '{"plan": "never seen"}') IS NOT NULL AS unknown_category,
       behavpred.embed('people', '{}'::int[]) IS NULL AS nothing_said;
-- new users with features: without a click, with one; who has neither a click nor a row goes
INSERT INTO people SELECT u, 20 + u % 4 * 10, 'plan ' || u % 4, ARRAY[u % 4, u % 2], u % 2 = 0 FROM generate_series(500, 507) u;
INSERT INTO clicks VALUES (504, 1), (505, 11), (506, 21), (507, 31), (600, 1);
DELETE FROM clicks WHERE user_id IN (1, 2);
DELETE FROM people WHERE user_id = 1;
SELECT users_refreshed, users_added, users_removed, left_out FROM behavpred.refresh('people', users => '{1,2,500,501,502,503,504,505,506,507,600,700}');
SELECT count(*) FILTER (WHERE group_of(embedding) = user_id % 4) AS found, count(*) AS of FROM people_user_embedding WHERE user_id BETWEEN 500 AND 507;
SELECT degree, group_of(embedding) = 2 AS by_features FROM people_user_embedding WHERE user_id = 2;
-- whoever was folded in has a state: objects are computed from it
SELECT objects_refreshed FROM behavpred.refresh('people', objects => '{1,11}');
SELECT behavpred.embed('people', '{}'::int[], features => '{"agee": 1}');
SELECT behavpred.embed('people', '{}'::int[], features => '{"age": "old"}');
SELECT behavpred.embed('people', '{}'::int[], features => '[1]');
SELECT behavpred.embed('people', '{}'::int[], features => '{"taste": [1, 2, 3]}');
SELECT behavpred.embed('people', ARRAY[500], features => '{"age": 30}', as_object => true);
-- what changes in the features is captured, and brings the vectors up to date: those of users moved to another group, or without a click, ...
SELECT behavpred.capture_changes('people');
CREATE TABLE earlier AS SELECT user_id, embedding FROM people_user_embedding;
UPDATE people SET age = 20 + (user_id + 1) % 4 * 10, plan = 'plan ' || (user_id + 1) % 4, taste = ARRAY[(user_id + 1) % 4, (user_id + 1) % 2],
  member = (user_id + 1) % 2 = 0 WHERE user_id IN (500, 501, 10);
INSERT INTO people VALUES (510, 40, 'plan 2', '{2,0}', true), (511, 20, 'plan 0', '{0,0}', true);
DELETE FROM people WHERE user_id IN (502, 505);
SELECT entries, users, objects FROM behavpred.freshness WHERE graph = 'people';
SET client_min_messages = notice;
CALL behavpred.run_refresh('people');
SET client_min_messages = warning;
SELECT user_id, group_of(e.embedding) AS was, group_of(u.embedding) AS "is" FROM earlier e FULL JOIN people_user_embedding u USING (user_id)
WHERE user_id IN (500, 501, 502, 510, 511) ORDER BY 1;
SELECT count(*) AS others_stay FROM earlier e JOIN people_user_embedding u USING (user_id, embedding) WHERE user_id NOT IN (10, 500, 501, 505);
-- ... and they are what refresh() and embed() make of the same
CREATE TABLE queued AS SELECT user_id, embedding FROM people_user_embedding;
SELECT users_refreshed FROM behavpred.refresh('people', users => '{10,500,501,505}');
SELECT q.user_id, q.embedding <> e.embedding AS moved, behavpred.cosine(q.embedding, u.embedding) > 0.99999 AS by_refresh,
       behavpred.cosine(q.embedding, behavpred.embed('people', ARRAY(SELECT object_id FROM clicks c WHERE c.user_id = q.user_id),
         features => (SELECT to_jsonb(p) - 'user_id' FROM people p WHERE p.user_id = q.user_id))) > 0.99999 AS by_embed
FROM queued q JOIN earlier e USING (user_id) JOIN people_user_embedding u USING (user_id) WHERE user_id IN (500, 501, 505) ORDER BY 1;
-- objects: a new one has a vector by its features; one that is known keeps its own, unless neighbours are asked for
SELECT behavpred.drop_graph('people');
CREATE TABLE goods AS SELECT o AS object_id, o / 10 AS shelf FROM generate_series(0, 39) o;
SELECT users_found FROM behavpred.create_graph('people', 'clicks', users => 'people', objects => 'goods');
SELECT epochs_run FROM behavpred.train_graph('people', dimension => 16, epochs => 5, patience => 0, seed => 3);
SELECT behavpred.capture_changes('people', 'row');
CREATE TABLE shelved AS SELECT object_id, embedding FROM people_object_embedding;
INSERT INTO goods VALUES (100, 2);
UPDATE goods SET shelf = 3 WHERE object_id = 1;
CALL behavpred.run_refresh('people');
SELECT o.object_id, o.embedding = s.embedding AS kept FROM shelved s RIGHT JOIN people_object_embedding o USING (object_id) WHERE o.object_id IN (1, 2, 100) ORDER BY 1;
UPDATE goods SET shelf = 3 WHERE object_id = 1;
CALL behavpred.run_refresh('people', neighbours => true);
SELECT o.object_id, o.embedding = s.embedding AS kept FROM shelved s RIGHT JOIN people_object_embedding o USING (object_id) WHERE o.object_id IN (1, 2, 100) ORDER BY 1;
-- a table that is emptied: all users, and all objects with their neighbours
TRUNCATE people;
CALL behavpred.run_refresh('people');
SELECT user_id AS without_clicks FROM people_user_embedding WHERE user_id NOT IN (SELECT user_id FROM clicks);
TRUNCATE goods;
CALL behavpred.run_refresh('people', neighbours => true);
SELECT object_id FROM people_object_embedding WHERE object_id NOT IN (SELECT object_id FROM clicks);
SELECT behavpred.drop_graph('people');

-- without the network of the last training stored vectors have to do, and features say nothing; who has no interaction but a row of features stays
INSERT INTO people SELECT u, 20 + u % 4 * 10, 'plan ' || u % 4, ARRAY[u % 4, u % 2], u % 2 = 0 FROM generate_series(2, 501) u;
SELECT users_found FROM behavpred.create_graph('people', 'clicks', users => 'people');
SELECT epochs_run FROM behavpred.train_graph('people', dimension => 16, epochs => 2, seed => 3, options => '{"keep_network": false}');
SELECT behavpred.embed('people', '{}'::int[], features => '{"age": 30}');
DELETE FROM people WHERE user_id = 501;
SELECT users_refreshed, users_removed, left_out FROM behavpred.refresh('people', users => '{3,500,501}');
SELECT behavpred.drop_graph('people');

DROP SCHEMA refresh CASCADE;
