-- How often check_drift() sees a planted shift, and one that is not there; see test/bench/drift.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS behavpred;
CREATE SCHEMA bench_drift;
SET search_path = bench_drift, public;

CREATE FUNCTION uniform(seed int, a int, b int) RETURNS float8
LANGUAGE sql IMMUTABLE AS $$ SELECT (hashint8extended(a * 1000::bigint + b, seed) & 1073741823) / 1073741824.0 $$;

-- Users from first to last: eight tastes; nine of ten objects are of the user's own, as many as his activity says.
CREATE FUNCTION draw_users(seed int, first int, last int, shifted boolean) RETURNS TABLE (user_id int, object_id int)
LANGUAGE sql AS $$
  SELECT DISTINCT u, CASE WHEN uniform(seed, u, 100 + i) < 0.9
                          THEN 8 * (uniform(seed, u, 200 + i) * 10)::int + CASE WHEN shifted THEN 0 ELSE (uniform(seed, u, 1) * 8)::int % 8 END
                          ELSE (uniform(seed, u, 300 + i) * 87)::int END
  FROM generate_series(first, last) u,
       generate_series(1, ((4 + 12 * pow(uniform(seed, u, 2), 2)) * CASE WHEN shifted THEN 2 ELSE 1 END)::int) i
$$;

CREATE TABLE events (user_id int, object_id int);
CREATE TABLE seen (seed int, shifted boolean, measure text, psi float8, by_chance float8, verdict text);

CREATE PROCEDURE run_seed(seed int, users int)
LANGUAGE plpgsql AS $$
DECLARE
  shifted boolean;
BEGIN
  FOREACH shifted IN ARRAY '{false,true}'::boolean[] LOOP
    TRUNCATE events;
    INSERT INTO events SELECT * FROM draw_users(seed, 1, users, false);
    PERFORM FROM behavpred.create_graph('bench_drift', 'events');
    PERFORM FROM behavpred.create_target('bench_drift', 'bench_drift', object => '8');
    PERFORM FROM behavpred.train_graph('bench_drift', dimension => 16, epochs => 4, seed => seed);
    PERFORM FROM behavpred.train_target('bench_drift');
    INSERT INTO events SELECT * FROM draw_users(seed, users + 1, users + users / 3, shifted);
    PERFORM FROM behavpred.train_graph('bench_drift', dimension => 16, epochs => 0, seed => seed, options => '{"warm_start": true}');
    INSERT INTO seen SELECT seed, shifted, d.measure, d.psi, d.by_chance, d.verdict FROM behavpred.check_drift('bench_drift') d;
    PERFORM behavpred.drop_graph('bench_drift');
  END LOOP;
  COMMIT;
END
$$;

SELECT format('CALL run_seed(%s, %s)', s, :users) FROM generate_series(1, :seeds) s \gexec

SELECT shifted, measure, count(*) AS seeds, round(avg(psi)::numeric, 4) AS mean_psi, round(max(psi)::numeric, 4) AS most,
       round(avg(by_chance)::numeric, 4) AS by_chance, round(avg((verdict <> 'ok')::int), 3) AS flagged, round(avg((verdict = 'retrain')::int), 3) AS retrain
FROM seen GROUP BY 1, 2 ORDER BY 1, 2;
SELECT shifted, count(*) AS seeds, round(avg(flagged::int), 3) AS flagged, round(avg(retrain::int), 3) AS retrain
FROM (SELECT seed, shifted, bool_or(verdict <> 'ok') AS flagged, bool_or(verdict = 'retrain') AS retrain FROM seen GROUP BY 1, 2) s
GROUP BY 1 ORDER BY 1;
DROP SCHEMA bench_drift CASCADE;
