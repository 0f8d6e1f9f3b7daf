-- generated.sql: a graph of :users users and :targets objects with vectors of 64 numbers made
-- by hand, 2,040 interactions with each object by the first 50,000 users, a target for each.
\set QUIET on
\pset footer off
\o /dev/null
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE UNLOGGED TABLE pairs AS
SELECT (abs(hashint8extended(o * 100000 + i, 1)) % 50000)::int AS user_id, o AS object_id
FROM generate_series(1, :targets) o, generate_series(1, 2040) i;
ANALYZE pairs;

-- The graph is trained on a few of them: its tables are there then, and are filled by hand.
CREATE VIEW interactions AS SELECT * FROM pairs WHERE object_id <= 10;
SELECT FROM behavpred.create_graph('bench', 'interactions');
SELECT FROM behavpred.train_graph('bench', dimension => 64, layers => 1, epochs => 1, threads => 2);
CREATE OR REPLACE VIEW interactions AS SELECT * FROM pairs;
CREATE FUNCTION vector(item bigint, seed int) RETURNS real[] LANGUAGE sql
AS $$ SELECT (array_agg((hashint8extended(item * 100 + d, seed) % 1000) / 1000.0) || 1.0)::real[] FROM generate_series(1, 64) d $$;
TRUNCATE bench_user_embedding, bench_object_embedding;
INSERT INTO bench_user_embedding SELECT u, vector(u, 5), 40 FROM generate_series(0, :users - 1) u;
INSERT INTO bench_object_embedding SELECT o, vector(o, 6), 2000 FROM generate_series(1, :targets) o;
VACUUM ANALYZE bench_user_embedding, bench_object_embedding;
SELECT count(behavpred.create_target('t' || o, 'bench', object => o::text)) FROM generate_series(1, :targets) o;

-- Processor time of this backend in seconds, its threads included: the machine may be busy.
CREATE FUNCTION cpu() RETURNS float8 LANGUAGE sql VOLATILE
AS $$ SELECT (a[14]::float8 + a[15]::float8) / 100 FROM regexp_split_to_array(pg_read_file('/proc/self/stat'), ' ') a $$;
\o
