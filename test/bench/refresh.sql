-- refresh.sql: processor seconds of capturing and of run_refresh(), one thread.
\o /dev/null
CREATE EXTENSION IF NOT EXISTS behavpred;
-- Processor seconds of this backend so far.
CREATE FUNCTION cpu() RETURNS float8 LANGUAGE sql VOLATILE AS $$
  SELECT (f[12]::float8 + f[13]::float8) / 100
  FROM (SELECT string_to_array(split_part(pg_read_file('/proc/self/stat', 0, 1000), ') ', 2), ' ')) AS s (f)
$$;
CREATE TABLE cost (n serial, what text, seconds float8, nodes bigint);
CREATE TABLE events (user_id int NOT NULL, object_id int NOT NULL);
CREATE INDEX events_user ON events (user_id);
SELECT setseed(0.5);

-- A small training makes the tables; the rest of the graph follows.
INSERT INTO events SELECT i % 200, i * 7 % 50 FROM generate_series(1, 2000) i;
SELECT behavpred.create_graph('bench', 'events');
SELECT behavpred.train_graph('bench', epochs => 0, seed => 1);
CREATE TABLE people AS SELECT u AS user_id, u % 60 AS age, u % 7 AS visits, 'plan ' || u % 5 AS plan, 'a note' AS note FROM generate_series(0, 199999) u;
ALTER TABLE people ADD PRIMARY KEY (user_id);
SELECT behavpred.create_graph('featured', 'events', users => 'people', user_features => '{age,visits,plan}');
INSERT INTO events SELECT random() * (:users - 1), random() * random() * (:users / 10 - 1) FROM generate_series(1, 10 * :users);
INSERT INTO bench_object_embedding
SELECT o, (SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 64 + 0 * o)) || ARRAY[-1, 1]::real[], 100
FROM generate_series(50, :users / 10 - 1) o;
INSERT INTO bench_user_embedding
SELECT u, (SELECT embedding FROM bench_user_embedding WHERE user_id = 1), 10 FROM generate_series(200, :users - 1) u;
ANALYZE;

-- Without capture and with it in turn, the least of seven each: others may use the machine.
CREATE TABLE writes (kind int, mode text, seconds float8);
CREATE PROCEDURE write_rows(kind int, graph text, mode text, command text) LANGUAGE plpgsql AS $$
DECLARE
  before float8;
BEGIN
  PERFORM behavpred.capture_changes(graph, mode);
  before := cpu();
  EXECUTE command;
  INSERT INTO writes VALUES (kind, mode, cpu() - before);
  COMMIT;
END
$$;
SELECT format('CALL write_rows(1, %L, %L, %L)', 'bench', mode,
  format('INSERT INTO events SELECT random() * (%1$s - 1), random() * (%1$s / 10 - 1) FROM generate_series(1, 200000)', :users))
FROM generate_series(1, 7), unnest('{none,statement}'::text[]) mode \gexec
SELECT behavpred.capture_changes('bench', 'none');
SELECT 'VACUUM people', format('CALL write_rows(%s, %L, %L, %L)', kind, 'featured', mode, command)
FROM generate_series(1, 7), unnest('{none,statement,row}'::text[]) mode,
  (VALUES (2, 'UPDATE people SET age = age + 1'), (3, 'UPDATE people SET note = note')) AS c (kind, command) \gexec
SELECT behavpred.capture_changes('featured', 'none');
INSERT INTO cost (what, seconds, nodes)
SELECT CASE mode WHEN 'none' THEN CASE kind WHEN 1 THEN '200,000 rows inserted' WHEN 2 THEN '200,000 rows of features updated' ELSE 'another column of them updated' END
       ELSE 'the same, captured by ' || mode END, min(seconds), 200000
FROM writes GROUP BY kind, mode ORDER BY kind, mode = 'row', mode;

SELECT behavpred.capture_changes('bench');
INSERT INTO events SELECT (u::bigint * 7919 % :users)::int, random() * (:users / 10 - 1) FROM generate_series(1, :dirty) u;
CREATE TABLE scanned AS SELECT * FROM behavpred.changed_nodes;
SELECT cpu() AS before \gset
CALL behavpred.run_refresh('bench');
INSERT INTO cost (what, seconds, nodes) VALUES ('run_refresh(), by index', cpu() - :before, :dirty);
DROP INDEX events_user;
INSERT INTO behavpred.changed_nodes OVERRIDING SYSTEM VALUE SELECT * FROM scanned;
SELECT cpu() AS before \gset
CALL behavpred.run_refresh('bench');
INSERT INTO cost (what, seconds, nodes) VALUES ('run_refresh(), by scan', cpu() - :before, :dirty);
\o
SELECT what, round(seconds::numeric, 2) AS seconds, round(nodes / nullif(seconds, 0)::numeric) AS "a second" FROM cost ORDER BY n;
