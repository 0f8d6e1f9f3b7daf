-- check_drift(): nothing moves by chance, a planted shift is seen, and what cannot be compared is said.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA drift;
SET search_path = drift, public;
CREATE TABLE events AS
SELECT u AS user_id, o AS object_id FROM generate_series(1, 600) u, generate_series(1, 60) o
WHERE u % 3 = o % 3 AND hashint8(u * 1000 + o) % 3 = 0 OR hashint8(u * 1000 + o) % 31 = 0;
SELECT FROM behavpred.create_graph('drift', 'events');
SELECT FROM behavpred.create_target('drift', 'drift', object => '9');
SELECT * FROM behavpred.check_graph_drift('drift');
SELECT * FROM behavpred.check_drift('drift');
SELECT epochs_run FROM behavpred.train_graph('drift', dimension => 16, epochs => 4);
SELECT version FROM behavpred.train_target('drift');
SELECT measure, reference_users, present_users, psi < 0.01 AS still, verdict FROM behavpred.check_drift('drift');

-- The parts by themselves.
SELECT behavpred_internal.drift_edges(ARRAY[1, 1, 1, 1, 1, 1, 2, 3, 4, 5]), behavpred_internal.drift_edges('{7,7,7}'), behavpred_internal.drift_counts('{1,2,2,9}', '{2,5}'),
       behavpred_internal.drift_counts('{1,2}', '{}'), behavpred_internal.drift_counts('{}', '{2}');
SELECT round(index::numeric, 4) AS index, round(by_chance::numeric, 4) AS by_chance, bound > by_chance AS above FROM behavpred_internal.drift_index('{100,100}', '{100,100}');
SELECT round(index::numeric, 4) AS index, round(by_chance::numeric, 4) AS by_chance, round(bound::numeric, 3) AS bound FROM behavpred_internal.drift_index('{50,50}', '{20,80}');
SELECT index, by_chance FROM behavpred_internal.drift_index('{50}', '{20}');
SELECT behavpred_internal.drift_verdict(0.5, 0.01, 0.6), behavpred_internal.drift_verdict(0.105, 0.01, 0.05), behavpred_internal.drift_verdict(0.2, 0.01, 0.05),
       behavpred_internal.drift_verdict(0.3, 0.01, 0.05), behavpred_internal.drift_verdict(NULL, 0.01, 0.05);
-- By knots a number counts for its two neighbours, and a clump that moves by a hair over a border stays nearly where it was.
SELECT behavpred_internal.drift_shares('{-1,0,0.25,1,1.5,9}', '{0,1,2}') AS shares,
       behavpred_internal.drift_histogram('degree', '{-1,0,0.25,1,1.5,9}', '{0,1,2}') AS counts;
SELECT round((behavpred_internal.drift_index(behavpred_internal.drift_histogram(m, x, k), behavpred_internal.drift_histogram(m, y, k))).index::numeric, 1) AS index
FROM unnest('{degree,factor mass 1}'::text[]) WITH ORDINALITY o (m, n),
     (SELECT array_agg(0.25 + i / 2e4) AS x, array_agg(0.255 + i / 2e4) AS y, '{0,0.1,0.2,0.3,0.4,0.5}'::float8[] AS k FROM generate_series(1, 1000) i) v
ORDER BY n;

-- Chance alone: the index of two samples of one distribution has the mean and the bound that are said.
SELECT abs(avg(i.index) / avg(i.by_chance) - 1) < 0.15 AS mean, avg((i.index > i.bound)::int) < 0.01 AS bound
FROM generate_series(1, 1000) s,
     LATERAL (SELECT array_agg(n ORDER BY b) AS a FROM (SELECT b, (SELECT count(*)::float8 FROM generate_series(1, 200) x WHERE (hashint8extended(x, s) & 1023) * 10 / 1024 = b) n FROM generate_series(0, 9) b) q) r,
     LATERAL (SELECT array_agg(n ORDER BY b) AS a FROM (SELECT b, (SELECT count(*)::float8 FROM generate_series(1, 400) x WHERE (hashint8extended(x + 1000, s) & 1023) * 10 / 1024 = b) n FROM generate_series(0, 9) b) q) p,
     LATERAL behavpred_internal.drift_index(r.a, p.a) i;

-- Vectors that a refresh has moved, and more users who do it.
UPDATE drift_user_embedding SET degree = 4 * degree + 3 WHERE user_id % 2 = 0;
INSERT INTO events SELECT u, 9 FROM generate_series(1, 600, 2) u ON CONFLICT DO NOTHING;
SELECT measure, verdict FROM behavpred.check_drift('drift') WHERE verdict <> 'ok';
SELECT measure, verdict FROM behavpred.check_graph_drift('drift') WHERE verdict <> 'ok';
-- A model of other vectors.
SELECT epochs_run FROM behavpred.train_graph('drift', dimension => 16, epochs => 1);
SELECT * FROM behavpred.check_drift('drift');
SELECT * FROM behavpred.check_drift('nothing');
SELECT * FROM behavpred.check_drift(NULL);
SELECT * FROM behavpred.check_graph_drift('nothing');
SELECT behavpred.drop_graph('drift');
SELECT count(*) FROM behavpred.drift_reference WHERE graph = 'drift';
DROP SCHEMA drift CASCADE;
