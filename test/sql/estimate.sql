-- Memory and time of a training before it.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE SCHEMA estimate;
SET search_path = estimate, public;

CREATE TABLE events AS
SELECT u AS user_id, (abs(hashint8extended(u * 100 + i, 3)) % 1500)::int AS object_id
FROM generate_series(1, 4000) u, generate_series(1, 1 + (u % 25)) i;
SELECT users_found FROM behavpred.create_graph('estimated', 'events');

-- Counts are those of the training; nothing is written.
SELECT users = 4000 AS users, objects = 1500 AS objects, edges = (SELECT count(*) FROM (SELECT DISTINCT user_id, object_id FROM events) e) AS edges,
  max_memory = pg_size_bytes('1GB') AS max_memory, fits, advice
FROM behavpred.estimate('estimated', epochs => 1);
SELECT count(*) FROM behavpred.runs WHERE graph = 'estimated';
SELECT to_regclass('estimated_user_embedding');

-- The peak within a quarter of the estimate, the time within a wide factor: others use the machine, too.
CREATE FUNCTION compare(arguments text) RETURNS TABLE (bytes_ratio float8, seconds_ratio float8)
LANGUAGE plpgsql AS $$
DECLARE
  expected record;
  actual record;
BEGIN
  EXECUTE format('SELECT * FROM behavpred.estimate(''estimated'', %s)', arguments) INTO expected;
  EXECUTE format('SELECT run_id FROM behavpred.train_graph(''estimated'', patience => 0, %s)', arguments) INTO actual;
  SELECT (result->>'memory_peak')::float8 AS bytes, (result->>'seconds')::float8 AS seconds INTO actual
  FROM behavpred.training_run WHERE run_id = actual.run_id;
  RETURN QUERY SELECT expected.bytes / actual.bytes, expected.seconds / actual.seconds;
END
$$;

SELECT arguments, bytes_ratio BETWEEN 0.8 AND 1.25 AS bytes, seconds_ratio BETWEEN 0.2 AND 5 AS seconds
FROM unnest(ARRAY[
  'epochs => 2, batch_size => 5000',
  'epochs => 0',
  'epochs => 2, batch_size => 5000, dimension => 128, factors => 2, threads => 2',
  'epochs => 2, batch_size => 20000, options => ''{"routing": "off", "layer_mean": true}''',
  'epochs => 2, batch_size => 10000, options => ''{"full_gradient": true, "attention": "additive"}''']) arguments, compare(arguments);

-- What does not fit is told with what would, and what is advised is right.
SET behavpred.max_memory = '20MB';
SELECT fits, bytes > max_memory AS more, seconds > 0 AS seconds, regexp_replace(advice, '[0-9.]+ [kMG]B', '...', 'g') AS advice
FROM behavpred.estimate('estimated', dimension => 256);
SELECT fits FROM behavpred.estimate('estimated', dimension => 64);
SELECT fits FROM behavpred.estimate('estimated', dimension => 32);

SELECT * FROM behavpred.estimate('nowhere');
SELECT * FROM behavpred.estimate('estimated', dimension => 65);
SELECT * FROM behavpred.estimate(NULL);

SELECT behavpred.drop_graph('estimated');
DROP SCHEMA estimate CASCADE;
