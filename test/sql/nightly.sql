-- Three days of new interactions, and each night run_nightly(); beside it a graph that is trained from scratch each night.
SET client_min_messages = error;
\set SHOW_CONTEXT never
CREATE SCHEMA nightly;
SET search_path = nightly, public;
CREATE FUNCTION drawn(day int, u int, i int) RETURNS int LANGUAGE sql AS $$ SELECT (hashint8extended(u * 1000 + i, day) & 1048575)::int $$;
-- A tenth of the users come each day; nine of ten objects are of a user's own taste. On the third day newcomers have a taste of their own, and many edges.
CREATE TABLE all_events AS
SELECT DISTINCT ON (u, o) day, u AS user_id, o AS object_id
FROM generate_series(0, 3) day, generate_series(1, 900) u, generate_series(1, 20) i,
     LATERAL (SELECT CASE WHEN drawn(day, u, i) % 10 < 9 THEN CASE WHEN u > 840 AND day = 3 THEN 6 ELSE u % 6 END + 7 * (drawn(day, u, 100 + i) % 12) ELSE drawn(day, u, 200 + i) % 84 END AS o) x
WHERE u <= 600 + 80 * day + CASE WHEN day = 3 THEN 60 ELSE 0 END
  AND (day = 0 AND i <= 8 OR day > 0 AND i <= CASE WHEN u > 600 + 80 * (day - 1) THEN CASE WHEN day = 3 AND u > 840 THEN 20 ELSE 8 END ELSE 1 END)
ORDER BY u, o, day;
CREATE TABLE events AS SELECT user_id, object_id FROM all_events WHERE day = 0;
CREATE VIEW tomorrow AS SELECT user_id, object_id FROM all_events a WHERE NOT EXISTS (SELECT FROM events e WHERE e.user_id = a.user_id AND e.object_id = a.object_id);
SELECT FROM behavpred.create_graph('nightly', 'events');
SELECT FROM behavpred.create_graph('daily', 'events');
SELECT FROM behavpred.create_target('nightly', 'nightly', object => '3');
SELECT FROM behavpred.create_target('rare', 'nightly', object => '9');
CALL behavpred.run_nightly('nightly');
SELECT epochs_run > 0 AS trained FROM behavpred.train_graph('nightly', dimension => 16, epochs => 24, seed => 3);
CALL behavpred.run_nightly('nightly', retrain => 'sometimes');
CREATE TABLE nights (night int, trained boolean, versions bigint, usable boolean, recall float8, daily_recall float8, unknown bigint);
CREATE PROCEDURE live_a_day(night int) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO events SELECT user_id, object_id FROM all_events a WHERE a.day = night;
END $$;
CREATE PROCEDURE look_back(n int) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM behavpred.train_graph('daily', dimension => 16, epochs => 24, seed => 3);
  INSERT INTO nights SELECT n, (SELECT (r.options ->> 'epochs')::int > 0 FROM behavpred.graphs g JOIN behavpred.runs r ON r.run_id = g.trained_run WHERE g.graph = 'nightly'),
    (SELECT count(*) FROM behavpred.models m WHERE m.target IN ('nightly', 'rare')),
    (SELECT bool_and(m.usable) FROM behavpred.models m WHERE m.deployed AND m.target IN ('nightly', 'rare')),
    (SELECT recall FROM behavpred.evaluate_graph('nightly', 'tomorrow')), (SELECT recall FROM behavpred.evaluate_graph('daily', 'tomorrow')),
    (SELECT count(DISTINCT user_id) FROM events WHERE behavpred.predict('nightly', user_id) IS NULL);
END $$;

CALL behavpred.run_nightly('nightly');
CALL look_back(0);
CALL live_a_day(1);
CALL behavpred.run_nightly('nightly');
CALL look_back(1);
-- From now on changes are captured: only who has changed is computed anew.
SELECT behavpred.capture_changes('nightly');
CALL live_a_day(2);
SELECT entries > 0 AS queued FROM behavpred.freshness WHERE graph = 'nightly';
CALL behavpred.run_nightly('nightly');
SELECT entries AS queued FROM behavpred.freshness WHERE graph = 'nightly';
CALL look_back(2);
-- Every night everybody is known, and ranked for about as well as by a training from scratch; nothing is learnt while nothing drifts.
SELECT night, usable, unknown, recall > 0.9 * daily_recall AS as_good FROM nights ORDER BY night;
SELECT trained, versions FROM nights WHERE night = 0;
-- The third day is another world.
CALL live_a_day(3);
CALL behavpred.run_nightly('nightly', keep_versions => 1, keep_runs => 3);
SELECT (options ->> 'epochs')::int > 0 AS trained, (options ->> 'warm_start')::boolean AS warm
FROM behavpred.graphs g JOIN behavpred.runs r ON r.run_id = g.trained_run WHERE g.graph = 'nightly';
SELECT target, bool_or(deployed AND usable) AS answers, count(*) <= 3 AS trimmed FROM behavpred.models WHERE target IN ('nightly', 'rare') GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT user_id) AS unknown FROM events WHERE behavpred.predict('nightly', user_id) IS NULL;
CALL behavpred.run_nightly('nightly', retrain => 'always');
SELECT count(*) > 1 AS more FROM behavpred.models WHERE target = 'nightly';
SELECT behavpred.drop_graph('nightly');
SELECT behavpred.drop_graph('daily');
DROP SCHEMA nightly CASCADE;
