-- file.sql: the demo on a file of the user's own, loaded into table interactions before.
-- psql echoes each statement before its result.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null '-'
SET client_min_messages = notice;
\i measure.sql
CREATE EXTENSION behavpred;

-- The object to make an audience for: the one with most users among those that at most a
-- twentieth of the users know.
SELECT object_id AS target FROM interactions GROUP BY object_id
HAVING count(DISTINCT user_id) <= greatest(200, (SELECT count(DISTINCT user_id) FROM interactions) / 20)
ORDER BY count(DISTINCT user_id) DESC, object_id LIMIT 1 \gset

\echo
\echo '== 1. The data: a tenth of the pairs, and half of the users of object' :target', are held out'
\set ECHO queries
CREATE TABLE held_out AS
SELECT user_id, object_id FROM interactions GROUP BY user_id, object_id
HAVING abs(hashtext(user_id || ' ' || object_id)) % 100 < CASE WHEN object_id = :'target' THEN 50 ELSE 10 END;
CREATE TABLE events AS
SELECT * FROM interactions AS i
WHERE NOT EXISTS (SELECT FROM held_out AS h WHERE h.user_id = i.user_id AND h.object_id = i.object_id);
ANALYZE;

\echo
\echo '== 2. A graph, and a target: who will act on object' :target'?'
SELECT * FROM behavpred.create_graph('mine', 'events');
SELECT * FROM behavpred.describe_graph('mine') WHERE value IS NOT NULL;
SELECT behavpred.create_target('audience_demo', 'mine', object => :'target');

\echo
\echo '== 3. Train the graph network: a vector for each user and object'
\timing on
SELECT * FROM behavpred.train_graph('mine', threads => :threads) \gx
\timing off

\echo
\echo '== 4. How well does it rank what was held out, next to ranking by popularity?'
SELECT * FROM behavpred.evaluate_graph('mine', 'held_out', threads => :threads) \gx

\echo
\echo '== 5. Train the light model of the target'
\timing on
SELECT * FROM behavpred.train_target('audience_demo') \gx
\timing off

\echo
\echo '== 6. Use it'
SELECT * FROM behavpred.audience('audience_demo', size => 10);

\echo
\echo '== 7. How good is it? Does it find the hidden users of the object among all others?'
\set ECHO none
CREATE TEMPORARY TABLE cases AS
SELECT e.user_id, e.degree, h.user_id IS NOT NULL AS happened, behavpred.predict('audience_demo', e.user_id) AS probability
FROM mine_user_embedding AS e
  LEFT JOIN held_out AS h ON h.user_id = e.user_id AND h.object_id = :'target'
WHERE e.user_id NOT IN (SELECT user_id FROM events WHERE object_id = :'target');
SELECT count(*) AS users_ranked, count(*) FILTER (WHERE happened) AS hidden_users_to_find,
       round(measure.auc('SELECT happened, probability AS score FROM cases')::numeric, 4) AS model_auc,
       round(measure.auc('SELECT happened, degree AS score FROM cases')::numeric, 4) AS activity_auc
FROM cases;
SELECT count(*) AS audience_size, count(*) FILTER (WHERE happened) AS hidden_users_found,
       round((avg(happened::int) / (SELECT avg(happened::int) FROM cases))::numeric, 1) AS times_better_than_chance
FROM (SELECT happened FROM cases ORDER BY probability DESC LIMIT (SELECT 2 * count(*) FROM cases WHERE happened)) AS top;
