-- fold_in.sql: see test/bench/fold_in, which makes the tables pairs and held_out, and gives :arguments and one of
-- :full, :folded and :warm; folded and warm compare with what full has left.
\set QUIET on
\pset footer off
SET client_min_messages = warning;
SET behavpred.max_memory = '4 GB';

-- Processor seconds of this backend so far.
CREATE OR REPLACE FUNCTION cpu() RETURNS float8 LANGUAGE sql VOLATILE AS $$
  SELECT (f[12]::float8 + f[13]::float8) / 100
  FROM (SELECT string_to_array(split_part(pg_read_file('/proc/self/stat', 0, 1000), ') ', 2), ' ')) AS s (f)
$$;
CREATE OR REPLACE VIEW held_out_of_tenth AS SELECT * FROM held_out WHERE user_id % 10 = 3;

\if :{?full}
\echo '# everything, from scratch:' :arguments
CREATE TABLE everything AS SELECT * FROM pairs;
SELECT users_found, objects_found, edges FROM behavpred.create_graph('everything', 'everything');
SELECT run_id, round(cpu()::numeric) AS cpu FROM behavpred.train_graph('everything', :arguments);
CREATE TABLE scratch_epochs AS SELECT e.* FROM behavpred.training_epoch e JOIN behavpred.registered_graph g ON g.trained_run = e.run_id WHERE g.graph = 'everything';
SELECT epoch, round(recall_at_20::numeric, 4) AS recall, round(ndcg_at_20::numeric, 4) AS ndcg FROM scratch_epochs ORDER BY epoch;
CREATE TABLE with_them AS SELECT * FROM behavpred.evaluate_graph('everything', 'held_out_of_tenth');
SELECT users, round(recall::numeric, 4) AS recall, round(ndcg::numeric, 4) AS ndcg FROM with_them;
\endif

\if :{?folded}
\echo '# without every tenth user, who is then folded in'
CREATE TABLE present AS SELECT * FROM pairs WHERE user_id % 10 <> 3;
SELECT users_found, objects_found, edges FROM behavpred.create_graph('present', 'present');
SELECT run_id, round(cpu()::numeric) AS cpu FROM behavpred.train_graph('present', :arguments);
SELECT behavpred.capture_changes('present');
INSERT INTO present SELECT * FROM pairs WHERE user_id % 10 = 3;
SET client_min_messages = notice;
SELECT cpu() AS before \gset
CALL behavpred.run_refresh('present');
SET client_min_messages = warning;
SELECT round((cpu() - :before)::numeric, 2) AS cpu_of_refresh;
SELECT f.users, round(f.recall::numeric, 4) AS recall, round(f.ndcg::numeric, 4) AS ndcg,
       round((100 * f.recall / w.recall)::numeric, 1) AS recall_percent, round((100 * f.ndcg / w.ndcg)::numeric, 1) AS ndcg_percent
FROM behavpred.evaluate_graph('present', 'held_out_of_tenth') f, with_them w;
\endif

\if :{?warm}
\echo '# without every twentieth interaction, which then come in with a warm start'
CREATE TABLE growing AS SELECT * FROM pairs WHERE (hashint8(user_id * 100003 + object_id) & 1048575) % 20 <> 3;
SELECT users_found, objects_found, edges FROM behavpred.create_graph('growing', 'growing');
SELECT run_id, round(cpu()::numeric) AS cpu FROM behavpred.train_graph('growing', :arguments);
TRUNCATE growing;
INSERT INTO growing SELECT * FROM pairs;
SELECT cpu() AS before \gset
SELECT run_id FROM behavpred.train_graph('growing', threads => 1, epochs => (SELECT count(*)::int / 3 FROM scratch_epochs),
  options => '{"warm_start": true, "validation_fraction": 0.05}');
SELECT round((cpu() - :before)::numeric) AS cpu_of_warm_start;
SELECT e.epoch, round(e.recall_at_20::numeric, 4) AS recall, round(e.ndcg_at_20::numeric, 4) AS ndcg,
       round((100 * e.recall_at_20 / s.recall)::numeric, 1) AS recall_percent, round((100 * e.ndcg_at_20 / s.ndcg)::numeric, 1) AS ndcg_percent
FROM behavpred.training_epoch e JOIN behavpred.registered_graph g ON g.trained_run = e.run_id,
     (SELECT max(recall_at_20) AS recall, max(ndcg_at_20) AS ndcg FROM scratch_epochs) s
WHERE g.graph = 'growing' ORDER BY 1;
\endif
