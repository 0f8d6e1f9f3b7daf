-- use.sql: what using the models of generated.sql costs, in processor seconds of one thread.
\o /dev/null
SELECT FROM behavpred.train_targets('bench', threads => 2);
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SELECT model AS model FROM behavpred.trained_model WHERE target = 't1' ORDER BY version LIMIT 1 \gset
SELECT sum(array_ndims(embedding)) FROM bench_user_embedding;
CREATE TEMP TABLE cost (what text, seconds float8);
SELECT cpu() AS before \gset
SELECT sum(array_ndims(embedding)) FROM bench_user_embedding;
INSERT INTO cost VALUES ('scan', cpu() - :before);
SELECT cpu() AS before \gset
SELECT sum(behavpred.score(:'model'::behavpred.model, embedding)) FROM bench_user_embedding;
INSERT INTO cost VALUES ('score', cpu() - :before);
SELECT cpu() AS before \gset
SELECT sum(behavpred.predict('t1', u)) FROM generate_series(1, 20000) u;
INSERT INTO cost VALUES ('predict', cpu() - :before);
SELECT cpu() AS before \gset
DO $$ BEGIN FOR u IN 1 .. 20000 LOOP PERFORM behavpred.predict('t1', u); END LOOP; END $$;
INSERT INTO cost VALUES ('predict, each in a statement', cpu() - :before);
CREATE ROLE reader;
SELECT behavpred.grant_on('graph', 'bench', 'predict', 'reader');
SELECT cpu() AS before \gset
SET ROLE reader;
DO $$ BEGIN FOR u IN 1 .. 20000 LOOP PERFORM behavpred.predict('t1', u); END LOOP; END $$;
RESET ROLE;
INSERT INTO cost VALUES ('predict, each in a statement, by grant', cpu() - :before);
SELECT cpu() AS before \gset
SELECT count(*) FROM behavpred.audience('t1', 1000);
INSERT INTO cost VALUES ('audience', cpu() - :before);
SELECT cpu() AS before \gset
SELECT count(*) FROM behavpred.audiences((SELECT array_agg('t' || o) FROM generate_series(1, :targets) o), 1000);
INSERT INTO cost VALUES ('audiences', cpu() - :before);
SELECT cpu() AS before \gset
SELECT count(*) FROM behavpred.audiences((SELECT array_agg('t' || o) FROM generate_series(1, :targets) o), 1000, exclude_known => false);
INSERT INTO cost VALUES ('audiences, known users too', cpu() - :before);

-- By the wall, which says something only where two processors are free: the best of three each.
CREATE FUNCTION wall(workers int, model behavpred.model, OUT seconds float8) LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz;
BEGIN
  PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
  FOR round IN 1 .. 3 LOOP
    start := clock_timestamp();
    EXECUTE 'SELECT sum(behavpred.score($1, embedding)) FROM bench_user_embedding' USING model;
    seconds := least(seconds, extract(epoch FROM clock_timestamp() - start));
  END LOOP;
END $$;
SELECT wall(0, :'model') AS alone, wall(2, :'model') AS together \gset
\o
SELECT what, round(seconds::numeric, 2) AS seconds,
       CASE regexp_replace(what, ',.*', '')
         WHEN 'score' THEN round((seconds / (SELECT greatest(seconds, 0.01) FROM cost WHERE what = 'scan'))::numeric, 2) || ' of the scan that only reads the vectors'
         WHEN 'audiences' THEN round((seconds / (2.0 * :users * :targets * 65 / (:gflops * 1e9)))::numeric, 2) || ' of the bare sgemm'
         WHEN 'scan' THEN '' WHEN 'audience' THEN ''
         ELSE round((seconds / 20000 * 1e6)::numeric, 1) || ' microseconds each' END AS ratio
FROM cost;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT sum(behavpred.score(:'model'::behavpred.model, embedding)) FROM bench_user_embedding;
SELECT round(:alone::numeric, 3) AS seconds_alone, round(:together::numeric, 3) AS with_two_workers, round((:alone / :together)::numeric, 2) AS times_faster;
