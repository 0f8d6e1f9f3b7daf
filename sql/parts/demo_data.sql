-- ---------------------------------------------------------------------------
-- Demonstration data
-- ---------------------------------------------------------------------------

-- Uniform in [0, 1): a pure function of its arguments, so that the data are the same
-- at every call. No SET clause, so that it is inlined.
CREATE FUNCTION behavpred_internal.demo_uniform(seed bigint, stream int, item bigint) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT (hashint8extended(item, seed * 64 + stream) >> 11 & 9007199254740991) / 9007199254740992.0::float8 $$;

CREATE FUNCTION behavpred_internal.demo_users(schema name, users int, factors int, events_per_user int, seed bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  countries CONSTANT text[] := '{SE,DE,JP,BR,IN,US}';
  plans CONSTANT text[] := '{free,basic,pro}';
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', schema), true);

  -- Each user mixes factors: a first with share 0.5 to 0.95, a second with most of the
  -- rest, and a trace of all. His activity has a long tail (Pareto, exponent 2).
  CREATE TABLE user_truth (
    user_id bigint PRIMARY KEY, first_factor int NOT NULL, second_factor int NOT NULL,
    share float8 NOT NULL, events int NOT NULL, held_out boolean NOT NULL);
  INSERT INTO user_truth
  SELECT u, f, 1 + (f + floor(behavpred_internal.demo_uniform(seed, 2, u) * (factors - 1))::int) % factors,
         0.5 + 0.45 * behavpred_internal.demo_uniform(seed, 3, u),
         floor(events_per_user * least(10, 0.5 / sqrt(1 - behavpred_internal.demo_uniform(seed, 4, u))))::int,
         behavpred_internal.demo_uniform(seed, 5, u) < 0.5
  FROM (SELECT u, 1 + floor(behavpred_internal.demo_uniform(seed, 1, u) * factors)::int AS f
        FROM generate_series(1, users) AS u) AS drawn;

  -- Age, country and plan tell something of the first factor; newsletter and days nothing.
  CREATE TABLE users (
    user_id bigint PRIMARY KEY, age int, country text, plan text, newsletter boolean, days_since_signup int);
  INSERT INTO users
  SELECT user_id,
         CASE WHEN behavpred_internal.demo_uniform(seed, 6, user_id) > 0.1 THEN
           floor(18 + 40.0 * (first_factor - 1) / factors + 25 * behavpred_internal.demo_uniform(seed, 7, user_id))::int END,
         countries[1 + CASE WHEN behavpred_internal.demo_uniform(seed, 8, user_id) < 0.4 THEN first_factor
                       ELSE floor(6 * behavpred_internal.demo_uniform(seed, 9, user_id))::int END % 6],
         plans[1 + CASE WHEN behavpred_internal.demo_uniform(seed, 10, user_id) < 0.3 THEN first_factor
                   ELSE floor(3 * behavpred_internal.demo_uniform(seed, 11, user_id))::int END % 3],
         behavpred_internal.demo_uniform(seed, 12, user_id) < 0.3,
         floor(1500 * behavpred_internal.demo_uniform(seed, 13, user_id))::int
  FROM user_truth;
END
$$;

COMMENT ON FUNCTION behavpred_internal.demo_users(name, int, int, int, bigint) IS 'For demo_data(): the users and the truth about them';

CREATE FUNCTION behavpred_internal.demo_objects(schema name, objects int, factors int, targets int, seed bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', schema), true);

  -- Each object belongs to a factor, a quarter of them to a second one as well. Its place
  -- in a factor's list decides how popular it is there.
  CREATE TABLE object_truth (
    object_id bigint NOT NULL, factor int NOT NULL, place int NOT NULL, PRIMARY KEY (factor, place));
  INSERT INTO object_truth
  SELECT o, f, row_number() OVER (PARTITION BY f ORDER BY behavpred_internal.demo_uniform(seed, 14, o * 64 + f))
  FROM generate_series(1, objects) AS o,
       LATERAL (SELECT 1 + (o + i * (1 + floor(behavpred_internal.demo_uniform(seed, 15, o) * (factors - 1))::int))::int % factors
                FROM generate_series(0, CASE WHEN factors > 1 AND behavpred_internal.demo_uniform(seed, 16, o) < 0.25 THEN 1 ELSE 0 END) AS i) AS member(f);

  CREATE TABLE target_truth (target bigint PRIMARY KEY, factor int NOT NULL);
  INSERT INTO target_truth SELECT objects + t, 1 + (t - 1) % factors FROM generate_series(1, targets) AS t;

  CREATE TABLE objects (object_id bigint PRIMARY KEY, category text NOT NULL, price float8 NOT NULL);
  INSERT INTO objects
  SELECT object_id,
         'category ' || CASE WHEN behavpred_internal.demo_uniform(seed, 17, object_id) < 0.6 THEN min(factor)
                        ELSE 1 + floor(factors * behavpred_internal.demo_uniform(seed, 18, object_id))::int END,
         round((5 * exp(3 * behavpred_internal.demo_uniform(seed, 19, object_id)))::numeric, 2)
  FROM object_truth GROUP BY object_id
  UNION ALL SELECT target, 'campaign', 0 FROM target_truth;
END
$$;

COMMENT ON FUNCTION behavpred_internal.demo_objects(name, int, int, int, bigint) IS 'For demo_data(): the objects and targets, and the truth about them';

CREATE FUNCTION behavpred_internal.demo_causes(schema name, factors int, seed bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', schema), true);

  -- Each event is caused by one factor, drawn from the user's mixture, and falls on an
  -- object of that factor (popularity ~ place^-0.8); a quarter are impressions, which
  -- come by chance: their factor is NULL.
  CREATE TABLE event_truth (event_id bigint PRIMARY KEY, user_id bigint NOT NULL, object_id bigint NOT NULL, factor int);
  INSERT INTO event_truth
  WITH drawn AS (
    SELECT row_number() OVER (ORDER BY user_id, i) AS event_id, user_id, first_factor, second_factor, share
    FROM user_truth, generate_series(1, events) AS i
  ), caused AS (
    SELECT event_id, user_id, behavpred_internal.demo_uniform(seed, 20, event_id) < 0.25 AS chance,
           CASE WHEN behavpred_internal.demo_uniform(seed, 20, event_id) < 0.25 THEN 1 + floor(behavpred_internal.demo_uniform(seed, 21, event_id) * factors)::int
                WHEN behavpred_internal.demo_uniform(seed, 22, event_id) < share THEN first_factor
                WHEN behavpred_internal.demo_uniform(seed, 22, event_id) < share + 0.7 * (1 - share) THEN second_factor
                ELSE 1 + floor(behavpred_internal.demo_uniform(seed, 21, event_id) * factors)::int END AS factor
    FROM drawn
  ), length AS (
    SELECT factor, count(*)::float8 AS n FROM object_truth GROUP BY factor
  )
  SELECT event_id, user_id, object_id, CASE WHEN NOT chance THEN factor END
  FROM caused JOIN length USING (factor) JOIN object_truth USING (factor)
  WHERE place = floor(power(1 + behavpred_internal.demo_uniform(seed, 23, event_id) * (power(n + 1, 0.2) - 1), 5))::int;
END
$$;

COMMENT ON FUNCTION behavpred_internal.demo_causes(name, int, bigint) IS 'For demo_data(): what happened, and which factor made it happen';

CREATE FUNCTION behavpred_internal.demo_targets(schema name, users int, factors int, target_rate float8, seed bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', schema), true);

  -- What each user would do to each target: probability ~ (part of the target's factor in
  -- his mixture)^2, on average target_rate. What the held-out half did lies in the future.
  CREATE TABLE target_user_truth (
    target bigint NOT NULL, user_id bigint NOT NULL, probability float8 NOT NULL,
    happened boolean NOT NULL, held_out boolean NOT NULL, PRIMARY KEY (target, user_id));
  INSERT INTO target_user_truth
  WITH mixed AS (
    SELECT target, user_id, held_out,
           power(CASE WHEN factor = first_factor THEN share ELSE 0 END +
                 CASE WHEN factor = second_factor THEN 0.7 * (1 - share) ELSE 0 END + 0.3 * (1 - share) / factors, 2) AS affinity
    FROM target_truth, user_truth
  ), scaled AS (
    SELECT target, user_id, held_out,
           least(0.95, target_rate * affinity / avg(affinity) OVER (PARTITION BY target)) AS probability
    FROM mixed
  )
  SELECT target, user_id, probability, behavpred_internal.demo_uniform(seed, 24, target * users + user_id) < probability, held_out
  FROM scaled;

  INSERT INTO event_truth
  SELECT (SELECT max(event_id) FROM event_truth) + row_number() OVER (ORDER BY target, user_id), user_id, target, factor
  FROM target_user_truth JOIN target_truth USING (target)
  WHERE happened AND NOT held_out;
END
$$;

COMMENT ON FUNCTION behavpred_internal.demo_targets(name, int, int, float8, bigint) IS 'For demo_data(): who would act on which target, and who did';

CREATE FUNCTION behavpred_internal.demo_events(schema name, users int, objects int, seed bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('search_path', format('%I, pg_temp', schema), true);

  CREATE TABLE events (
    event_id bigint PRIMARY KEY, user_id bigint NOT NULL, object_id bigint NOT NULL,
    kind text NOT NULL, seconds real NOT NULL, happened_at timestamptz NOT NULL);
  INSERT INTO events
  SELECT event_id, user_id, object_id,
         CASE WHEN factor IS NULL THEN 'impression'
              WHEN object_id > objects OR behavpred_internal.demo_uniform(seed, 25, event_id) < 0.3 THEN 'purchase'
              ELSE 'click' END,
         -ln(1 - behavpred_internal.demo_uniform(seed, 26, event_id)) * CASE WHEN factor IS NULL THEN 3 ELSE 60 END,
         timestamptz '2026-01-01 00:00+00' + interval '90 days' * behavpred_internal.demo_uniform(seed, 27, event_id)
  FROM event_truth ORDER BY event_id;

  CREATE TABLE future (
    user_id bigint NOT NULL, object_id bigint NOT NULL, kind text NOT NULL, happened_at timestamptz NOT NULL,
    PRIMARY KEY (object_id, user_id));
  INSERT INTO future
  SELECT user_id, target, 'purchase',
         timestamptz '2026-04-01 00:00+00' + interval '7 days' * behavpred_internal.demo_uniform(seed, 28, target * users + user_id)
  FROM target_user_truth WHERE happened AND held_out;
END
$$;

COMMENT ON FUNCTION behavpred_internal.demo_events(name, int, int, bigint) IS 'For demo_data(): what a shop would know of it, and what it learns later';

CREATE FUNCTION demo_data(
  schema name DEFAULT 'demo',
  users int DEFAULT 5000, objects int DEFAULT 500, factors int DEFAULT 4, targets int DEFAULT 5,
  events_per_user int DEFAULT 20, target_rate float8 DEFAULT 0.08, seed bigint DEFAULT 42)
RETURNS TABLE (relation text, row_count bigint, what text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  IF (users < 20 OR objects < factors * 5 OR factors NOT BETWEEN 1 AND 64 OR targets NOT BETWEEN 1 AND 1000
     OR events_per_user NOT BETWEEN 2 AND 10000 OR NOT target_rate BETWEEN 0.001 AND 0.3 OR schema = '' OR seed IS NULL) IS NOT FALSE THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = 'demo_data cannot plant its factors in data of this size',
      detail = format('users %s, objects %s, factors %s, targets %s, events_per_user %s, target_rate %s.',
                      users, objects, factors, targets, events_per_user, target_rate),
      hint = 'Name a schema, and use at least 20 users, 1 to 64 factors, 5 objects for each factor, 1 to 1000 targets, 2 to 10000 events_per_user, and a target_rate from 0.001 to 0.3.';
  END IF;
  IF to_regnamespace(quote_ident(schema)) IS NOT NULL THEN
    RAISE EXCEPTION USING errcode = 'duplicate_schema',
      message = format('schema "%s" already exists', schema),
      hint = format('Choose another name, or type DROP SCHEMA %I CASCADE first.', schema);
  END IF;
  EXECUTE format('CREATE SCHEMA %I', schema);
  PERFORM behavpred_internal.demo_users(schema, users, factors, events_per_user, seed);
  PERFORM behavpred_internal.demo_objects(schema, objects, factors, targets, seed);
  PERFORM behavpred_internal.demo_causes(schema, factors, seed);
  PERFORM behavpred_internal.demo_targets(schema, users, factors, target_rate, seed);
  PERFORM behavpred_internal.demo_events(schema, users, objects, seed);

  FOR relation, what IN VALUES
    ('users', 'one row a user: columns to use as features'),
    ('objects', 'one row an object; category "campaign" marks the targets'),
    ('events', 'who did what to what: impression, click, purchase'),
    ('future', 'what held-out users did to the targets; not in events'),
    ('user_truth', 'planted: each user''s mixture of factors'),
    ('object_truth', 'planted: the factors of each object'),
    ('event_truth', 'planted: the factor that caused each event, NULL for chance'),
    ('target_truth', 'planted: the factor of each target'),
    ('target_user_truth', 'planted: probability that a user acts on a target')
  LOOP
    relation := format('%I.%I', schema, relation);
    EXECUTE format('COMMENT ON TABLE %s IS %L', relation, what);
    EXECUTE format('ANALYZE %s', relation);
    EXECUTE format('SELECT count(*) FROM %s', relation) INTO row_count;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION behavpred_internal.demo_uniform(bigint, int, bigint) IS
  'For demo_data: a number in [0, 1) that depends on seed, stream and item alone';
COMMENT ON FUNCTION demo_data(name, int, int, int, int, int, float8, bigint) IS
  'Make a schema of demonstration data with planted factors, reproducible from the seed: users, objects, events, what held-out users did later (future), and the planted truth';
