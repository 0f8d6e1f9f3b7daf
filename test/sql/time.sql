-- Time: what comes after the cut is not seen by anything that is trained, targets look forward from it, and old interactions fade.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA time;
SET search_path = time, public;
CREATE TABLE events AS
SELECT u AS user_id, o AS object_id, timestamptz '2024-01-01' + (u * 7 + o * 3) % 100 * interval '1 day' AS at
FROM generate_series(1, 900) u, generate_series(1, 60) o
WHERE u % 4 = o % 4 AND hashint8(u * 1000 + o) % 3 <> 0 OR hashint8(u * 1000 + o) % 31 = 0;
SELECT FROM behavpred.create_graph('time', 'events', time_column => 'at');
SELECT FROM behavpred.create_graph('timeless', 'events');
SELECT behavpred.set_graph_time('timeless', half_life => '30 days');
SELECT behavpred.set_graph_time('time', half_life => '-1 day');
SELECT behavpred.set_graph_time('time', until => 'infinity');
SELECT behavpred.set_graph_time('nothing');
SELECT behavpred.evaluate_graph_after('time');

-- The cut: 80 of 100 days. The future is thrown away for one graph, and stays for the other: nothing differs.
CREATE VIEW past AS SELECT * FROM events WHERE at < timestamptz '2024-03-21';
SELECT FROM behavpred.create_graph('past', 'past', time_column => 'at');
SELECT behavpred.set_graph_time('time', until => '2024-03-21');
SELECT epochs_run FROM behavpred.train_graph('time', dimension => 8, factors => 2, epochs => 5);
SELECT epochs_run FROM behavpred.train_graph('past', dimension => 8, factors => 2, epochs => 5);
CREATE FUNCTION digest() RETURNS text LANGUAGE sql AS $$ SELECT md5(string_agg(embedding::text, '' ORDER BY user_id)) FROM time.time_user_embedding $$;
SELECT digest() = (SELECT md5(string_agg(embedding::text, '' ORDER BY user_id)) FROM past_user_embedding) AS blind;
SELECT users > 100 AS users, recall BETWEEN 0.2 AND 1 AS found FROM behavpred.evaluate_graph_after('time');
SELECT behavpred.evaluate_graph_after('time', horizon => '0 days');
SELECT a.pairs > b.pairs AS shorter FROM behavpred.evaluate_graph_after('time') a, behavpred.evaluate_graph_after('time', horizon => '5 days') b;

-- Vectors that have seen the future predict nothing of it.
SELECT FROM behavpred.create_target('soon', 'time', object => '8', horizon => '21 days');
SELECT behavpred.set_graph_time('time');
SELECT epochs_run FROM behavpred.train_graph('time', dimension => 8, factors => 2, epochs => 1);
SELECT behavpred.set_graph_time('time', until => '2024-03-21');
SELECT behavpred.train_target('soon');
SELECT behavpred.evaluate_graph_after('time');
SELECT epochs_run FROM behavpred.train_graph('time', dimension => 8, factors => 2, epochs => 5, options => '{"warm_start": true}');
SELECT epochs_run FROM behavpred.train_graph('time', dimension => 8, factors => 2, epochs => 5);

-- Whoever does it in the 21 days from the cut on is a positive, whatever he did before.
CREATE TABLE score AS SELECT n_positive, auc, test_basis FROM behavpred.train_target('soon');
SELECT n_positive = (SELECT count(*) FROM events WHERE object_id = 8 AND at >= timestamptz '2024-03-21' AND at < timestamptz '2024-04-11') AS positives, test_basis, auc > 0.7 AS good FROM score;

-- A signal that is planted into the future, an object that exactly the positives take, raises nothing.
INSERT INTO events SELECT user_id, 1000, at + interval '1 hour' FROM events WHERE object_id = 8 AND at >= timestamptz '2024-03-21';
CREATE TABLE before AS SELECT digest() AS d;
SELECT epochs_run FROM behavpred.train_graph('time', dimension => 8, factors => 2, epochs => 5);
SELECT d = digest() AS blind FROM before;
SELECT auc = (SELECT auc FROM score) AS same FROM behavpred.train_target('soon', options => '{"deploy": "always"}');
-- The same signal in the past is seen, so this test can fail.
UPDATE events SET at = '2024-03-20' WHERE object_id = 1000;
SELECT epochs_run FROM behavpred.train_graph('time', dimension => 8, factors => 2, epochs => 5);
SELECT d = digest() AS blind FROM before;
SELECT auc > (SELECT auc FROM score) AS better FROM behavpred.train_target('soon');
DELETE FROM events WHERE object_id = 1000;

-- Then the cut is taken back: the network sees everything, learns nothing, and the model predicts what comes next.
SELECT behavpred.set_graph_time('time');
SELECT epochs_run FROM behavpred.train_graph('time', dimension => 8, factors => 2, epochs => 0, options => '{"warm_start": true}');
SELECT usable FROM behavpred.models WHERE target = 'soon' AND deployed;

-- Fading: who turned from one kind of object to another long ago is with those who are of the other kind.
CREATE TABLE turned AS
SELECT u AS user_id, o AS object_id, CASE WHEN u <= 300 THEN timestamptz '2024-06-01' WHEN o % 2 = 0 THEN timestamptz '2023-01-01' ELSE timestamptz '2024-05-01' END AS at
FROM generate_series(1, 340) u, generate_series(1, 40) o WHERE (u > 300 OR u % 2 = o % 2) AND hashint8(u * 1000 + o) % 2 = 0;
SELECT FROM behavpred.create_graph('turned', 'turned', time_column => 'at');
SELECT epochs_run FROM behavpred.train_graph('turned', dimension => 8, factors => 2, epochs => 4);
CREATE FUNCTION odd_first() RETURNS float8 LANGUAGE sql AS $$
  SELECT avg((behavpred.cosine(t.embedding, o.embedding) > behavpred.cosine(t.embedding, e.embedding))::int)
  FROM turned_user_embedding t, (SELECT embedding FROM turned_user_embedding WHERE user_id = 7) o, (SELECT embedding FROM turned_user_embedding WHERE user_id = 8) e
  WHERE t.user_id > 300 $$;
SELECT odd_first() BETWEEN 0.1 AND 0.9 AS undecided;
SELECT behavpred.set_graph_time('turned', half_life => '60 days', until => '2024-07-01');
SELECT epochs_run FROM behavpred.train_graph('turned', dimension => 8, factors => 2, epochs => 4);
SELECT odd_first() > 0.95 AS odd;
-- Half-lives of any length, and rows without a time.
UPDATE turned SET at = NULL WHERE user_id = 9;
SELECT behavpred.set_graph_time('turned', half_life => '1 minute');
SELECT epochs_run FROM behavpred.train_graph('turned', dimension => 8, factors => 2, epochs => 1);
SELECT behavpred.set_graph_time('turned', half_life => '1000 years');
SELECT epochs_run FROM behavpred.train_graph('turned', dimension => 8, factors => 2, epochs => 1);
SELECT behavpred.drop_graph(g) FROM unnest('{time,timeless,past,turned}'::text[]) g;
SELECT count(*) FROM behavpred.graph_time;
DROP SCHEMA time CASCADE;
