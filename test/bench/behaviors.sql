-- behaviors.sql: purchases only, all merged, all told apart; test/bench/behaviors makes the relations
-- interactions and held_out and gives :arguments.
\set QUIET on
\pset footer off
SET client_min_messages = warning;
SET behavpred.max_memory = '4 GB';

CREATE VIEW purchases AS SELECT * FROM interactions WHERE behavior = 'purchase';
CREATE TABLE own AS
SELECT user_id, object_id, bool_or(behavior = 'view')::int AS viewed, bool_or(behavior = 'cart')::int AS carted
FROM interactions WHERE user_id IN (SELECT user_id FROM held_out)
GROUP BY 1, 2 HAVING bool_and(behavior <> 'purchase');
CREATE TABLE popular AS
SELECT object_id, count(DISTINCT user_id) FILTER (WHERE behavior = 'purchase') AS purchases,
       count(DISTINCT user_id) FILTER (WHERE behavior = 'view') AS views
FROM interactions GROUP BY 1;

\echo '# without training: own views and carts, by cart + half a view, then purchases; and by purchases / (views + 5)'
WITH rule AS (
  SELECT user_id, object_id, row_number() OVER (PARTITION BY user_id ORDER BY carted + 0.5 * viewed DESC, purchases DESC, object_id) AS by_popularity,
         row_number() OVER (PARTITION BY user_id ORDER BY purchases / (views + 5.0) DESC, object_id) AS by_rate
  FROM own JOIN popular USING (object_id)
)
SELECT count(*) AS users,
       round(avg((by_popularity <= 20)::int::numeric), 4) AS recall,
       round(avg(CASE WHEN by_popularity <= 20 THEN 1 / log(2::numeric, by_popularity + 1::numeric) ELSE 0 END), 4) AS ndcg,
       round(avg((by_rate <= 20)::int::numeric), 4) AS rate_recall,
       round(avg(CASE WHEN by_rate <= 20 THEN 1 / log(2::numeric, by_rate + 1::numeric) ELSE 0 END), 4) AS rate_ndcg
FROM (SELECT h.user_id, coalesce(r.by_popularity, 1000000) AS by_popularity, coalesce(r.by_rate, 1000000) AS by_rate
      FROM held_out h LEFT JOIN rule r USING (user_id, object_id)) q;

\echo '# purchases only' :arguments
SELECT edges FROM behavpred.create_graph('purchases', 'purchases');
SELECT epochs_run, best_epoch, round(seconds::numeric) AS seconds FROM behavpred.train_graph('purchases', :arguments);
SELECT users, round(recall::numeric, 4) AS recall, round(ndcg::numeric, 4) AS ndcg, round(ndcg_error::numeric, 4) AS error
FROM behavpred.evaluate_graph('purchases', 'held_out', threads => 2);

\echo '# all behaviors, merged'
SELECT edges FROM behavpred.create_graph('merged', 'interactions', behavior_column => 'behavior', behaviors => '{view,cart,purchase}');
SELECT behavpred.set_behaviors('merged', predict => '{purchase}', typed => false);
SELECT epochs_run, best_epoch, round(seconds::numeric) AS seconds FROM behavpred.train_graph('merged', :arguments);
SELECT users, round(recall::numeric, 4) AS recall, round(ndcg::numeric, 4) AS ndcg, round(ndcg_error::numeric, 4) AS error
FROM behavpred.evaluate_graph('merged', 'held_out', threads => 2);

\echo '# all behaviors, told apart'
SELECT edges FROM behavpred.create_graph('typed', 'interactions', behavior_column => 'behavior', behaviors => '{view,cart,purchase}');
SELECT behavpred.set_behaviors('typed', predict => '{purchase}');
SELECT epochs_run, best_epoch, round(seconds::numeric) AS seconds FROM behavpred.train_graph('typed', :arguments);
SELECT users, round(recall::numeric, 4) AS recall, round(ndcg::numeric, 4) AS ndcg, round(ndcg_error::numeric, 4) AS error
FROM behavpred.evaluate_graph('typed', 'held_out', threads => 2);
SELECT jsonb_pretty(jsonb_object_agg(key, value)) AS direct
FROM (SELECT result FROM behavpred.training_run ORDER BY run_id DESC LIMIT 1) r, jsonb_each(result) WHERE key LIKE 'direct%';
-- the same vectors without what links say by themselves
SELECT behavpred.set_behaviors('typed', predict => '{purchase}', typed => false);
SELECT users, round(recall::numeric, 4) AS recall_of_the_product, round(ndcg::numeric, 4) AS ndcg, round(ndcg_error::numeric, 4) AS error
FROM behavpred.evaluate_graph('typed', 'held_out', threads => 2);
