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
SELECT epochs_run FROM behavpred.train_graph('shop', dimension => 16, epochs => 5, patience => 0, seed => 3);

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

DROP SCHEMA refresh CASCADE;
