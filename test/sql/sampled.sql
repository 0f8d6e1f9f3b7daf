-- Training on samples: what it stores, what it takes, what it refuses.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE SCHEMA sampled;
SET search_path = sampled, public;

-- Users like objects of their own tenth.
CREATE TABLE events AS
SELECT u AS user_id, (CASE WHEN i % 8 = 0 THEN abs(hashint8extended(u * 100 + i, 3)) % 400
                      ELSE u % 10 * 40 + abs(hashint8extended(u * 100 + i, 4)) % 40 END)::int AS object_id,
  CASE WHEN i % 3 = 0 THEN 'purchase' ELSE 'view' END AS kind
FROM generate_series(1, 2000) u, generate_series(1, 4 + (u % 25)) i;
SELECT users_found FROM behavpred.create_graph('big', 'events');

-- A small sample teaches nearly as much; the last epoch is kept and measured.
CREATE TABLE trained (how text, epochs int, best int, ndcg float8, digest text);
CREATE FUNCTION train(how text, arguments text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('INSERT INTO trained SELECT %L, epochs_run, best_epoch, ndcg_at_20 '
    'FROM behavpred.train_graph(''big'', dimension => 16, epochs => 3, negatives => 200, %s)', how, arguments);
  UPDATE trained SET digest = (SELECT md5(string_agg(e::text, ',' ORDER BY user_id)) FROM big_user_embedding e)
  WHERE trained.how = train.how;
END
$$;
SELECT train('whole', 'patience => 0');
SELECT train('sampled', 'options => ''{"sampled_neighbours": 4}''');
SELECT how, epochs, best FROM trained WHERE how = 'sampled';
SELECT s.ndcg > 0.9 * w.ndcg AS nearly FROM trained w, trained s WHERE w.how = 'whole' AND s.how = 'sampled';
SELECT options->'sampled_neighbours' AS sampled, (options->>'batch_size')::int <= 4096 AS batch, (result->>'held_out_edges')::int > 0 AS held_out
FROM behavpred.training_run WHERE graph = 'big' ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS epochs, count(loss) AS losses, count(ndcg_at_20) AS measured
FROM behavpred.training_epoch WHERE run_id = (SELECT max(run_id) FROM behavpred.training_run);

-- The same seed gives the same bytes, whether the network is kept or not.
SELECT train('threads', 'threads => 2, options => ''{"sampled_neighbours": 4, "keep_network": false}''');
SELECT train('other seed', 'seed => 5, options => ''{"sampled_neighbours": 4}''');
SELECT how, digest = (SELECT digest FROM trained WHERE how = 'sampled') AS same FROM trained WHERE how IN ('threads', 'other seed') ORDER BY how;

-- It goes on from its own network, in parts, and where it was stopped.
SELECT epochs_run FROM behavpred.train_graph('big', dimension => 16, epochs => 1, negatives => 200, seed => 5, options => '{"sampled_neighbours": 4, "warm_start": true}');
CALL behavpred.run_graph('big', dimension => 16, epochs => 2, negatives => 200, checkpoint_seconds => 0, options => '{"sampled_neighbours": 4, "epoch_steps": 3}');
SELECT status, (result->>'epochs_run')::int AS epochs FROM behavpred.training_run WHERE graph = 'big' ORDER BY run_id DESC LIMIT 1;

-- Users of one partition are embedded from the objects' stored vectors by one statement.
CREATE TABLE before AS SELECT * FROM big_user_embedding;
SELECT users_refreshed, left_out FROM behavpred.refresh('big', users => ARRAY(SELECT DISTINCT user_id::text FROM events WHERE user_id % 4 = 0));
SELECT count(*), avg(behavpred.cosine(e.embedding[1:16], b.embedding[1:16])) > 0.9 AS near
FROM big_user_embedding e JOIN before b USING (user_id) WHERE user_id % 4 = 0;

-- Targets, recommendations and new users work on its vectors.
SELECT behavpred.create_target('buys_7', 'big', object => '7');
SELECT auc > 0.6 AS found, n_positive > 0 AS positives FROM behavpred.train_target('buys_7');
SELECT count(*) FROM behavpred.recommend('big', 17, 5);
SELECT array_length(behavpred.embed('big', ARRAY[7, 17, 42]), 1) AS numbers;

-- The estimate is of the largest block that may be drawn.
SELECT run_id FROM behavpred.train_graph('big', dimension => 16, epochs => 1, negatives => 200, options => '{"sampled_neighbours": 4, "batch_size": 500}') \gset
SELECT bytes / (SELECT (result->>'memory_peak')::float8 FROM behavpred.training_run WHERE run_id = :run_id) BETWEEN 0.95 AND 1.7 AS bytes
FROM behavpred.estimate('big', dimension => 16, epochs => 1, negatives => 200, options => '{"sampled_neighbours": 4, "batch_size": 500}');

-- What does not fit is refused with samples that would, and that is right.
CREATE TABLE many AS SELECT u AS user_id, abs(hashint8extended(u * 2 + i, 5)) % 2000 AS object_id
FROM generate_series(1, 30000) u, generate_series(1, 2) i;
SELECT users_found FROM behavpred.create_graph('wide', 'many');
SET behavpred.max_memory = '45MB';
\set VERBOSITY terse
SELECT behavpred.train_graph('wide', epochs => 1);
\set VERBOSITY default
SELECT substring(advice FROM 'train on samples, options => ''([^'']+)''') AS advised
FROM behavpred.estimate('wide', epochs => 1) \gset
SELECT :'advised'::jsonb ? 'sampled_neighbours' AS advised;
SELECT fits FROM behavpred.estimate('wide', epochs => 1, options => :'advised');
SELECT run_id FROM behavpred.train_graph('wide', epochs => 1, options => :'advised'::jsonb || '{"epoch_steps": 3}') \gset
SELECT (result->>'memory_peak')::bigint < pg_size_bytes('45MB') AS within FROM behavpred.training_run WHERE run_id = :run_id;
SELECT count(*) FROM behavpred.trained_network WHERE graph = 'wide';
RESET behavpred.max_memory;

-- What blocks cannot do.
SELECT behavpred.train_graph('big', options => '{"sampled_neighbours": -1}');
SELECT behavpred.train_graph('big', options => '{"sampled_neighbours": 5, "layer_mean": true}');
SELECT behavpred.train_graph('big', options => '{"sampled_neighbors": 5}');
CREATE TABLE people AS SELECT u AS user_id, u % 90 AS age FROM generate_series(1, 2000) u;
SELECT users_found FROM behavpred.create_graph('described', 'events', users => 'people', user_features => '{age}');
SELECT behavpred.train_graph('described', options => '{"sampled_neighbours": 5}');

SELECT behavpred.drop_target('buys_7');
SELECT behavpred.drop_graph('wide');
SELECT behavpred.drop_graph('described');
SELECT behavpred.drop_graph('big');
DROP SCHEMA sampled CASCADE;
