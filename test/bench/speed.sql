-- speed.sql: reading a graph of 10 million rows against a COPY of the same rows, in turn; the least
-- processor time of each counts. Called by test/bench/speed with the variable "rows".
\set QUIET on
SET client_min_messages = warning;
SET behavpred.max_memory = '8GB';

CREATE UNLOGGED TABLE speed_events AS
SELECT (1000000 * random() * random())::int AS user_id, (100000 * random() * random())::int AS object_id
FROM generate_series(1, :rows);
VACUUM ANALYZE speed_events;
SELECT FROM behavpred.create_graph('speed', 'speed_events');

-- Seconds that processors have spent on this backend.
CREATE FUNCTION processor_seconds() RETURNS float8 LANGUAGE sql VOLATILE AS
$$ SELECT (f[12]::float8 + f[13]::float8) / 100
   FROM string_to_array(split_part(pg_read_file('/proc/self/stat'), ') ', 2), ' ') f $$;

CREATE FUNCTION measure(statement text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
  start float8 := processor_seconds();
BEGIN
  EXECUTE statement;
  RETURN processor_seconds() - start;
END
$$;

CREATE TABLE speed_measured AS
SELECT round,
  measure('SELECT count(*) FROM behavpred.describe_graph(''speed'')') AS reading,
  measure('COPY (SELECT user_id, object_id FROM speed_events) TO ''/dev/null''') AS copying
FROM generate_series(1, 3) round;

\pset tuples_only on
\pset format unaligned
SELECT format(E'reading a graph of %s rows: %s s; COPY TO /dev/null: %s s\n  ratio %s (<= 1.50)%s   seconds against COPY',
              :rows, min(reading), min(copying), round((min(reading) / min(copying))::numeric, 2),
              CASE WHEN min(reading) > 1.5 * min(copying) THEN '  MISSED' ELSE '' END)
FROM speed_measured;
SELECT behavpred.drop_graph('speed') \g /dev/null
DROP TABLE speed_events, speed_measured;
DROP FUNCTION measure(text), processor_seconds();
