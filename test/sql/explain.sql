-- explain(): the parts of a probability add up to it.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS behavpred;
SET client_min_messages = error;  -- what trainings say of their quality is tested elsewhere
CREATE SCHEMA explain_test;
SET search_path = explain_test, public;

-- The even users like objects 1 to 20, the odd 21 to 40.
CREATE TABLE events AS
SELECT u AS user_id, o AS object_id FROM generate_series(1, 400) u, generate_series(1, 40) o
WHERE abs(hashint8extended(u * 1000 + o, 5)) % 100 < CASE WHEN (u % 2 = 0) = (o <= 20) THEN 40 ELSE 5 END;
SELECT users_found FROM behavpred.create_graph('explained', 'events');
SELECT behavpred.create_target('t', 'explained', object => '5');
SELECT epochs_run FROM behavpred.train_graph('explained', dimension => 12, factors => 3, epochs => 5);

CREATE FUNCTION sums(OUT users bigint, OUT logit boolean, OUT interactions boolean, OUT by_factor boolean, OUT remainder boolean)
LANGUAGE sql AS $$
  SELECT count(*), bool_and(abs(parts - ln(p / (1 - p))) < 1e-6), bool_and(abs(shares - factors) < 1e-9),
         bool_and(gap < 1e-9), max(abs(rest)) < 1e-4
  FROM (SELECT u, behavpred.predict('t', u) AS p, sum(contribution) FILTER (WHERE kind !~ 'interaction') AS parts,
               sum(contribution) FILTER (WHERE kind = 'factor') AS factors, sum(contribution) FILTER (WHERE kind ~ 'interaction') AS shares,
               sum(contribution) FILTER (WHERE kind = 'remainder') AS rest,
               max(abs(contribution - by_factor[1] - by_factor[2] - by_factor[3])) AS gap
        FROM generate_series(1, 40) u, behavpred.explain('t', u, interactions => 5) GROUP BY u) AS explained
$$;

-- Every kind of model and calibration.
SELECT version FROM behavpred.train_target('t', options => '{"deploy": "always"}');
SELECT * FROM sums();
SELECT version FROM behavpred.train_target('t', calibration => 'isotonic', options => '{"deploy": "always"}');
SELECT * FROM sums();
SELECT version FROM behavpred.train_target('t', model => 'mlp', hidden => '{8,4}', options => '{"deploy": "always"}');
SELECT * FROM sums();
SELECT version FROM behavpred.train_target('t', calibration => 'none', options => '{"deploy": "always"}');
SELECT * FROM sums();

-- The rows.
SELECT kind, name, contribution IS NOT NULL AS contribution, by_factor IS NULL AS no_factors FROM behavpred.explain('t', 8, interactions => 0);
SELECT count(*) FILTER (WHERE kind = 'interaction') AS shown, max(name) FILTER (WHERE kind = 'other_interactions') =
       ((SELECT count(DISTINCT object_id) FROM events WHERE user_id = 8) - 3)::text AS others,
       bool_and(name::int IN (SELECT object_id FROM events WHERE user_id = 8)) FILTER (WHERE kind = 'interaction') AS his_own,
       bool_and(cardinality(by_factor) = 3) FILTER (WHERE kind ~ 'interaction') AS by_factor
FROM behavpred.explain('t', 8, interactions => 3);
SELECT count(*) FILTER (WHERE kind = 'interaction') = (SELECT count(DISTINCT object_id) FROM events WHERE user_id = 8) AS everything,
       count(*) FILTER (WHERE kind = 'other_interactions') AS others FROM behavpred.explain('t', 8, interactions => 100);
-- The largest parts come first.
SELECT bool_and(falls) AS falls FROM (
  SELECT coalesce(abs(contribution) <= lag(abs(contribution)) OVER (ORDER BY place), true) AS falls
  FROM behavpred.explain('t', 8, interactions => 100) WITH ORDINALITY AS e (kind, name, contribution, by_factor, place)
  WHERE kind = 'interaction') AS ordered;
-- Who likes what the target's users like is drawn to it by his directions, more than others.
SELECT avg(directions) FILTER (WHERE u % 2 = 0) > avg(directions) FILTER (WHERE u % 2 = 1) + 0.5 AS told_apart
FROM (SELECT u, sum(contribution) AS directions FROM generate_series(1, 100, 3) u, behavpred.explain('t', u, interactions => 0)
      WHERE kind = 'factor' GROUP BY u) AS parts;

-- Keys of any type; nobody, and what cannot be.
SELECT count(*) = (SELECT count(*) FROM behavpred.explain('t', 8::bigint)) AS same FROM behavpred.explain('t', 8) a
JOIN behavpred.explain('t', '8') b ON a.kind = b.kind AND a.name IS NOT DISTINCT FROM b.name AND a.contribution = b.contribution;
SELECT count(*) AS unknown FROM behavpred.explain('t', 100000);
SELECT count(*) AS nobody FROM behavpred.explain('t', NULL::int);
SELECT * FROM behavpred.explain('t', 8, interactions => -1);
SELECT * FROM behavpred.explain('no_such_target', 8);
SELECT * FROM behavpred.explain('t', 'eight');
-- New vectors, old model.
SELECT epochs_run FROM behavpred.train_graph('explained', dimension => 12, factors => 3, epochs => 1);
\set VERBOSITY terse
SELECT count(*) FROM behavpred.explain('t', 8);

SELECT behavpred.drop_graph('explained');
DROP SCHEMA explain_test CASCADE;
