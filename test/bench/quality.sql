-- quality.sql: train on table interactions, measure on table held_out. test/bench/quality
-- loads them and gives :arguments.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION behavpred;

\echo '# graph'
SELECT * FROM behavpred.create_graph('bench', 'interactions') \gx
\echo '# training' :arguments
SELECT * FROM behavpred.train_graph('bench', :arguments) \gx
\echo '# quality on the test file'
SELECT * FROM behavpred.evaluate_graph('bench', 'held_out', threads => 2) \gx
