-- quality.sql: train on relation interactions, measure on relation held_out;
-- test/bench/quality makes both and gives :arguments.
\set QUIET on
\pset footer off
\pset null '-'
SET client_min_messages = warning;

\echo '# graph (its seconds: one read of the interactions)'
\timing on
SELECT * FROM behavpred.create_graph('bench', 'interactions') \gx
\timing off
\echo '# training' :arguments
SELECT * FROM behavpred.train_graph('bench', :arguments) \gx
SELECT jsonb_pretty(result) AS training FROM behavpred.training_run ORDER BY run_id DESC LIMIT 1;
\echo '# quality on what was held out'
SELECT * FROM behavpred.evaluate_graph('bench', 'held_out', threads => 2) \gx
