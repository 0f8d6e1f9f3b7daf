-- similar_users(), similar_objects(), recommend_all(): against the same in plain SQL.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE SCHEMA neighbours_test;
SET search_path = neighbours_test, public;

-- The even users like objects 1 to 20, the odd 21 to 40; keys of objects are text.
CREATE TABLE events AS
SELECT u AS user_id, 'o' || o AS object_id FROM generate_series(1, 400) u, generate_series(1, 40) o
WHERE abs(hashint8extended(u * 1000 + o, 5)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 20) THEN 40 ELSE 5 END;
SELECT users_found FROM behavpred.create_graph('near', 'events');
SELECT * FROM behavpred.similar_users('near', 1);
SELECT epochs_run FROM behavpred.train_graph('near', dimension => 8, factors => 2, epochs => 4);

-- The same by cosine() of the first 8 numbers.
CREATE VIEW user_pairs AS
SELECT a.user_id AS one, b.user_id AS other, behavpred.cosine(a.embedding[1:8], b.embedding[1:8]) AS cosine
FROM near_user_embedding a, near_user_embedding b WHERE a.user_id <> b.user_id;
SELECT count(*) AS rows, bool_and(s.similarity = p.cosine) AS cosine, bool_and(s.rank = p.place) AS rank
FROM generate_series(1, 10) u, behavpred.similar_users('near', u, k => 7) s
JOIN LATERAL (SELECT other, cosine, row_number() OVER (ORDER BY cosine DESC, other) AS place FROM user_pairs WHERE one = u) AS p
  ON p.other = s.user_key::int;
SELECT count(*) AS rows, bool_and(s.similarity = p.cosine) AS cosine, bool_and(s.rank = p.place) AS rank
FROM behavpred.similar_objects('near', 'o5'::text) s
JOIN (SELECT b.object_id, behavpred.cosine(a.embedding[1:8], b.embedding[1:8]) AS cosine,
             row_number() OVER (ORDER BY behavpred.cosine(a.embedding[1:8], b.embedding[1:8]) DESC, b.object_id COLLATE "C") AS place
      FROM near_object_embedding a, near_object_embedding b WHERE a.object_id = 'o5' AND b.object_id <> 'o5') AS p
  ON p.object_id = s.object_key;
-- They are of the same group.
SELECT avg((s.user_key::int % 2 = u % 2)::int) > 0.9 AS users FROM generate_series(1, 50) u, behavpred.similar_users('near', u) s;
SELECT avg((substr(s.object_key, 2)::int <= 20)::int) > 0.9 AS objects FROM generate_series(1, 20) o, behavpred.similar_objects('near', 'o' || o) s;
SELECT count(*) AS by_text FROM behavpred.similar_users('near', 7) a JOIN behavpred.similar_users('near', '7') b USING (rank, user_key, similarity);
SELECT count(*) AS everybody_else FROM behavpred.similar_users('near', 7, k => 1000);
SELECT count(*) AS nobody FROM behavpred.similar_users('near', 100000);
SELECT count(*) AS nothing FROM behavpred.similar_objects('near', 'x'::text);
SELECT * FROM behavpred.similar_users('near', 7, k => 0);
SELECT * FROM behavpred.similar_users('near', 'seven');
SELECT * FROM behavpred.similar_objects('far', 'o1'::text);

-- recommend_all() is recommend() for all.
CREATE TABLE everything AS SELECT * FROM behavpred.recommend_all('near', k => 5);
SELECT count(*) AS rows, count(DISTINCT user_key) AS users FROM everything;
SELECT count(*) AS differ FROM (SELECT * FROM everything WHERE user_key::int % 8 = 1) e FULL JOIN
  (SELECT u::text AS user_key, r.* FROM generate_series(1, 400, 8) u, behavpred.recommend('near', u, k => 5) r) AS one_by_one
  USING (user_key, rank, object_key, score) WHERE e IS NULL OR one_by_one IS NULL;
SELECT count(*) AS seen FROM everything JOIN events ON user_id = user_key::int AND events.object_id = object_key;
SELECT count(*) AS differ FROM (SELECT * FROM behavpred.recommend_all('near', k => 3, exclude_seen => false) WHERE user_key::int % 8 = 1) e FULL JOIN
  (SELECT u::text AS user_key, r.* FROM generate_series(1, 400, 8) u, behavpred.recommend('near', u, k => 3, exclude_seen => false) r) AS one_by_one
  USING (user_key, rank, object_key, score) WHERE e IS NULL OR one_by_one IS NULL;
-- Users of a relation; other threads; the order of the tables' rows; more places than objects.
CREATE TABLE some_users AS SELECT u AS user_id FROM generate_series(10, 30) u UNION ALL VALUES (10), (100000);
SELECT count(DISTINCT user_key) AS users, count(*) AS rows FROM behavpred.recommend_all('near', users => 'some_users');
UPDATE near_object_embedding SET degree = degree WHERE object_id > 'o2';
UPDATE near_user_embedding SET degree = degree WHERE user_id % 3 = 0;
SELECT count(*) AS differ FROM everything e FULL JOIN behavpred.recommend_all('near', k => 5, threads => 2) b
  USING (user_key, rank, object_key, score) WHERE e IS NULL OR b IS NULL;
SELECT count(*) AS rows, max(rank) AS most FROM behavpred.recommend_all('near', k => 100, exclude_seen => false);
SELECT * FROM behavpred.recommend_all('near', k => 0);
SELECT * FROM behavpred.recommend_all(NULL);
SELECT * FROM behavpred.recommend_all('near', users => 'some_users', threads => 0);
CREATE TABLE strangers AS SELECT 100000 AS user_id;
SELECT * FROM behavpred.recommend_all('near', users => 'strangers');
UPDATE near_object_embedding SET embedding[1] = 'NaN' WHERE object_id = 'o7';
SELECT * FROM behavpred.recommend_all('near');
SELECT * FROM behavpred.similar_objects('near', 'o1'::text);

DROP VIEW user_pairs;
SELECT behavpred.drop_graph('near');
DROP SCHEMA neighbours_test CASCADE;
