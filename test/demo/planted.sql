-- planted.sql: the demo on generated data. psql echoes each statement before its result.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset null '-'
SET client_min_messages = notice;
\i measure.sql
\set ECHO queries

\echo
\echo '== 1. The extension, and data with planted factors: who did what to what'
CREATE EXTENSION behavpred;
SELECT * FROM behavpred.demo_data('demo', users => 8000, objects => 1000, targets => 1, events_per_user => 40);
SELECT * FROM demo.events ORDER BY event_id LIMIT 5;

\echo
\echo '== 2. A graph: clicks and purchases join users to objects, impressions do not;'
\echo '==    and a target: who will act on campaign 1001?'
SELECT * FROM behavpred.create_graph('shop', 'demo.events', behavior_column => 'kind', behaviors => '{click,purchase}');
SELECT * FROM behavpred.describe_graph('shop') WHERE value IS NOT NULL;
SELECT behavpred.create_target('campaign', 'shop', object => '1001');

\echo
\echo '== 3. Train the graph network: a vector for each user and object'
\timing on
SELECT * FROM behavpred.train_graph('shop', threads => :threads) \gx
\timing off
SELECT epoch, round(loss::numeric, 4) AS loss, round(recall_at_20::numeric, 4) AS recall_at_20,
       round(ndcg_at_20::numeric, 4) AS ndcg_at_20, round(seconds::numeric, 2) AS seconds
FROM behavpred.training_log ORDER BY epoch;

\echo
\echo '== 4. Train the light model of the target'
\timing on
SELECT * FROM behavpred.train_target('campaign') \gx
\timing off

\echo
\echo '== 5. Use it: an audience, and a probability for any user in any query'
SELECT * FROM behavpred.audience('campaign', size => 10);
SELECT u.user_id, u.country, u.age, behavpred.predict('campaign', u.user_id) AS probability
FROM demo.users AS u WHERE u.country = 'SE' ORDER BY probability DESC LIMIT 5;

\echo
\echo '== 6. How good is it? Half of all users were held out: what they did to the campaign'
\echo '==    lies in demo.future, and the probability they did it with was planted.'
\set ECHO none
SELECT (SELECT count(*) FROM demo.future WHERE object_id = 1001) AS held_out_positives,
       round(best::numeric, 4) AS best_possible_auc, round(model::numeric, 4) AS model_auc,
       round((best - model)::numeric, 4) AS short_of_best, round(activity::numeric, 4) AS activity_auc
FROM (SELECT measure.auc('SELECT happened, probability AS score FROM demo.target_user_truth WHERE target = 1001 AND held_out') AS best,
             measure.auc('SELECT happened, behavpred.predict(''campaign'', user_id) AS score FROM demo.target_user_truth WHERE target = 1001 AND held_out') AS model,
             measure.auc('SELECT happened, degree AS score FROM demo.target_user_truth JOIN shop_user_embedding USING (user_id) WHERE target = 1001 AND held_out') AS activity) AS measured;
SELECT count(*) AS audience_size, round(100 * avg((f.user_id IS NOT NULL)::int), 1) AS percent_acting_later,
       (SELECT round(100 * avg(happened::int), 1) FROM demo.target_user_truth WHERE target = 1001 AND held_out) AS percent_of_all_held_out
FROM behavpred.audience('campaign', size => 500) AS a
  JOIN demo.user_truth AS t ON t.user_id = a.user_key::bigint AND t.held_out
  LEFT JOIN demo.future AS f ON f.user_id = t.user_id AND f.object_id = 1001;
\echo 'Pairs of links of one user that fall into one subspace: routing parts them by their planted cause'
SELECT round(alike::numeric, 3) AS with_one_cause, round(apart::numeric, 3) AS with_two_causes
FROM measure.parted_links('demo', 'shop_user_embedding', 'shop_object_embedding', 4);
