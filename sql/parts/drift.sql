-- ---------------------------------------------------------------------------
-- Drift: has what a model or a graph is used on moved away from what it was trained on?
-- ---------------------------------------------------------------------------

-- Each measure as a histogram: bins begin at `edges`, the first below all of them.
CREATE TABLE drift_reference (
  graph text NOT NULL REFERENCES registered_graph ON DELETE CASCADE,
  target text,
  version int,
  owner name NOT NULL DEFAULT current_user,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  measure text NOT NULL,
  edges float8[] NOT NULL,
  counts float8[] NOT NULL,
  users text[],
  FOREIGN KEY (target, version) REFERENCES trained_model ON DELETE CASCADE
);

CREATE UNIQUE INDEX drift_reference_key ON drift_reference (graph, coalesce(target, ''), coalesce(version, 0), measure, owner);
CREATE INDEX drift_reference_target ON drift_reference (target, version);

COMMENT ON TABLE drift_reference IS
'How measures of users were spread when a graph (target is NULL) or a version of a target was trained: histograms for check_drift(); the keys of the users that are looked at again stand at the measure "users"';
COMMENT ON INDEX drift_reference_key IS 'One histogram for each measure';
COMMENT ON INDEX drift_reference_target IS 'The histograms of a version, which go with it';

GRANT SELECT, INSERT, UPDATE, DELETE ON drift_reference TO PUBLIC;
ALTER TABLE drift_reference ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON drift_reference USING (owner = current_user);
CREATE POLICY granted_rows ON drift_reference FOR SELECT USING (behavpred_internal.privilege_on(owner, graph, target) >= 2);
CREATE POLICY granted_training ON drift_reference USING (behavpred_internal.privilege_on(owner, graph, target) >= 3);
CREATE POLICY of_same_owner ON drift_reference AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_graph g WHERE g.graph = drift_reference.graph AND g.owner = drift_reference.owner));

COMMENT ON POLICY own_rows ON drift_reference IS 'Every role sees and changes its own references';
COMMENT ON POLICY granted_rows ON drift_reference IS 'Readers check drift';
COMMENT ON POLICY granted_training ON drift_reference IS 'Trainers write references for the owner';
COMMENT ON POLICY of_same_owner ON drift_reference IS 'References are of the owner of their graph';

SELECT pg_extension_config_dump('drift_reference', '');

-- About 5,000 users, by the size of the table: nothing is known of one that has just been filled. Of a large table blocks are read at random, and of each only a few rows,
-- because neighbours in a table are often alike.
CREATE FUNCTION behavpred_internal.drift_sample(embeddings regclass, user_column text) RETURNS text
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  rows float8;
  pieces text;
BEGIN
  SELECT pg_relation_size(c.oid) / 340.0 INTO rows FROM pg_class c WHERE c.oid = embeddings AND c.relkind = 'r';
  IF rows > 100000 THEN
    RETURN format('%s TABLESAMPLE SYSTEM (%s) WHERE random() < 0.1', embeddings, 5e6 / rows);
  ELSIF rows > 0 THEN
    RETURN format('%s WHERE random() < %s', embeddings, 5000 / rows);
  END IF;
  -- They lie elsewhere, and are counted and drawn there.
  SELECT string_agg(format('SELECT count(*) AS n FROM %s', t.relid), ' UNION ALL ') INTO pieces
  FROM pg_partition_tree(embeddings) t WHERE t.isleaf HAVING bool_and(has_table_privilege(t.relid, 'SELECT'));
  EXECUTE format('SELECT sum(n) FROM (%s) c', coalesce(pieces, format('SELECT count(*) AS n FROM %s', embeddings))) INTO rows;
  RETURN format('%s WHERE behavpred_internal.is_drawn(%I, degree, %s, 0, 0, %s, 0)', embeddings, user_column,
                (random() * 1e15)::bigint, 5000 / greatest(rows, 5000));
END
$$;

COMMENT ON FUNCTION behavpred_internal.drift_sample(regclass, text) IS 'For check_drift(): where a sample of users is read from';

-- What is measured of users: by the graph alone, or with the model and the objects of a target.
CREATE FUNCTION behavpred_internal.drift_values(graph text, target text, version int) RETURNS TABLE (measure text, numbers float8[])
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  g behavpred.registered_graph;
  t behavpred.registered_target;
  run behavpred.training_run;
  model behavpred.model;
  objects text;
  dimension int;
  part int;
  measures text;
  of_known text;
  known text[];
BEGIN
  SELECT * INTO g FROM behavpred.registered_graph r WHERE r.graph = $1;
  SELECT d.users INTO known FROM behavpred.drift_reference d WHERE d.graph = $1 AND d.target IS NULL AND d.measure = 'users';
  SELECT * INTO run FROM behavpred.training_run r WHERE r.run_id = g.trained_run;
  dimension := run.options ->> 'dimension';
  part := dimension / (run.options ->> 'factors')::int;
  IF behavpred_internal.relation_named(g.user_embeddings) IS NULL OR dimension IS NULL THEN
    RETURN;
  END IF;
  IF $2 IS NULL THEN
    SELECT string_agg(format('(%L, behavpred.dot(s.embedding[%s:%s], s.embedding[%s:%s]) / nullif(behavpred.dot(s.embedding[1:%s], s.embedding[1:%s]), 0))',
                             'factor mass ' || k, (k - 1) * part + 1, k * part, (k - 1) * part + 1, k * part, dimension, dimension), ', ' ORDER BY k)
    INTO of_known FROM generate_series(1, dimension / part) k WHERE part < dimension;
    of_known := concat_ws(', ', '(''embedding norm'', sqrt(behavpred.dot(s.embedding, s.embedding)))', of_known);
    measures := '(''degree'', s.degree::float8)';
  ELSE
    SELECT * INTO t FROM behavpred.registered_target r WHERE r.target = $2;
    SELECT m.model INTO model FROM behavpred.trained_model m WHERE m.target = $2 AND m.version = $3;
    measures := '(''score'', behavpred.logit($1, s.embedding))';
    IF behavpred_internal.relation_named(g.object_embeddings) IS NOT NULL AND cardinality(t.objects) BETWEEN 1 AND 20 THEN
      -- The teacher's score: the best of the target's objects, calibrated.
      EXECUTE format('SELECT string_agg(format(''behavpred.dot(s.embedding, %%L::real[])'', o.embedding), '', '') FROM %s o WHERE o.%I = ANY ($1::%s[])',
                     behavpred_internal.relation_named(g.object_embeddings), g.object_column, g.object_key_type::regtype)
      INTO objects USING t.objects;
      IF objects IS NOT NULL THEN
        of_known := format('(''teacher-student gap'', behavpred.logit($1, s.embedding) - %s * greatest(%s))', run.result ->> 'scale', objects);
      END IF;
    END IF;
  END IF;
  RETURN QUERY EXECUTE format(
    'SELECT v.measure, array_agg(v.number) FROM (SELECT embedding, degree FROM %s) s CROSS JOIN LATERAL (VALUES %s) v (measure, number) WHERE v.number IS NOT NULL GROUP BY 1',
    behavpred_internal.drift_sample(behavpred_internal.relation_named(g.user_embeddings), g.user_column), measures) USING model;
  -- A newcomer's vector is made of his neighbours', without having learnt, and so a little unlike: of vectors those of the same users are compared.
  IF of_known IS NOT NULL THEN
    RETURN QUERY EXECUTE format(
      'SELECT n.measure, array_agg(n.number - CASE WHEN n.measure = ''teacher-student gap'' THEN n.mean ELSE 0 END)
       FROM (SELECT v.measure, v.number, avg(v.number) OVER (PARTITION BY v.measure) AS mean
             FROM (SELECT embedding FROM %1$s WHERE %2$I = ANY ($2::%3$s[])) s CROSS JOIN LATERAL (VALUES %4$s) v (measure, number) WHERE v.number IS NOT NULL) n GROUP BY 1',
      behavpred_internal.relation_named(g.user_embeddings), g.user_column, g.user_key_type::regtype, of_known) USING model, known;
  END IF;
END
$$;

COMMENT ON FUNCTION behavpred_internal.drift_values(text, text, int) IS
'For check_drift(): numbers of a sample of users, by measure; of a graph, or of a version of a target';

-- Tenths of the reference, as far as they differ.
CREATE FUNCTION behavpred_internal.drift_edges(numbers float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(DISTINCT e ORDER BY e) FILTER (WHERE e > least), '{}')
  FROM (SELECT unnest(percentile_disc('{0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9}'::float8[]) WITHIN GROUP (ORDER BY x)) AS e, min(x) AS least
        FROM unnest(numbers) x) q
$$;

COMMENT ON FUNCTION behavpred_internal.drift_edges(float8[]) IS 'For check_drift(): where bins begin, ten of like size as far as numbers differ';

CREATE FUNCTION behavpred_internal.drift_counts(numbers float8[], edges float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(coalesce(c.n, 0)::float8 ORDER BY b)
  FROM generate_series(0, cardinality(edges)) b
  LEFT JOIN (SELECT CASE WHEN cardinality(edges) = 0 THEN 0 ELSE width_bucket(x, edges) END AS bin, count(*) AS n
             FROM unnest(numbers) x GROUP BY 1) c ON c.bin = b
$$;

COMMENT ON FUNCTION behavpred_internal.drift_counts(float8[], float8[]) IS 'For check_drift(): how many numbers fall into each bin';

-- Where users are of few kinds, lengths, masses and gaps stand in clumps, and a clump that moves by a hair over the border of a bin
-- would look like a shift. A number therefore counts for the two knots it lies between, for the nearer one more.
CREATE FUNCTION behavpred_internal.drift_shares(numbers float8[], knots float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(coalesce(c.n, 0) ORDER BY b)
  FROM generate_series(1, cardinality(knots)) b
  LEFT JOIN (SELECT s.knot, sum(s.share) AS n
             FROM (SELECT i, CASE WHEN i BETWEEN 1 AND cardinality(knots) - 1 THEN (x - knots[i]) / (knots[i + 1] - knots[i]) ELSE 0 END AS above
                   FROM unnest(numbers) x CROSS JOIN LATERAL width_bucket(x, knots) i) n
             CROSS JOIN LATERAL (VALUES (greatest(i, 1), 1 - above), (least(i + 1, cardinality(knots)), above)) s (knot, share)
             GROUP BY 1) c ON c.knot = b
$$;

COMMENT ON FUNCTION behavpred_internal.drift_shares(float8[], float8[]) IS 'For check_drift(): how many numbers there are near each knot, one between two counting for both by its nearness';

CREATE FUNCTION behavpred_internal.drift_histogram(measure text, numbers float8[], edges float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN (measure LIKE 'factor mass %' OR measure IN ('teacher-student gap', 'embedding norm')) AND cardinality(edges) > 0
              THEN behavpred_internal.drift_shares(numbers, edges)
              ELSE behavpred_internal.drift_counts(numbers, edges) END
$$;

COMMENT ON FUNCTION behavpred_internal.drift_histogram(text, float8[], float8[]) IS 'For check_drift(): the histogram of a measure, by bins or by knots';

-- The stability index of two histograms, what chance alone makes of it on average (bins in use - 1 times
-- the sum of the reciprocal sizes), and the bound it stays below in 999 of 1,000 cases (that share of a
-- chi-squared, by Wilson and Hilferty).
CREATE FUNCTION behavpred_internal.drift_index(reference float8[], present float8[], OUT index float8, OUT by_chance float8, OUT bound float8)
LANGUAGE sql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT sum((q - p) * ln(q / p)), (count(*) FILTER (WHERE used) - 1) * max(1 / n + 1 / m),
         (count(*) FILTER (WHERE used) - 1) * max(1 / n + 1 / m)
           * pow(1 - 2 / (9.0 * greatest(count(*) FILTER (WHERE used) - 1, 1)) + 3.09 * sqrt(2 / (9.0 * greatest(count(*) FILTER (WHERE used) - 1, 1))), 3)
  FROM (SELECT r + a > 0 AS used, (r + 0.5) / (n + 0.5 * bins) AS p, (a + 0.5) / (m + 0.5 * bins) AS q, n, m, bins
        FROM unnest(reference, present) AS u (r, a),
             (SELECT (SELECT sum(x) FROM unnest(reference) x) AS n, (SELECT sum(x) FROM unnest(present) x) AS m,
                     cardinality(reference) AS bins) size
        WHERE n > 0 AND m > 0) s
$$;

COMMENT ON FUNCTION behavpred_internal.drift_index(float8[], float8[]) IS
'For check_drift(): the population stability index of two histograms of counts, its mean without any drift, and the bound it then stays below in 999 of 1,000 cases';

CREATE FUNCTION behavpred_internal.drift_verdict(index float8, by_chance float8, bound float8) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN index IS NULL OR index <= bound OR index - by_chance < 0.1 THEN 'ok'
              WHEN index - by_chance < 0.25 THEN 'watch' ELSE 'retrain' END
$$;

COMMENT ON FUNCTION behavpred_internal.drift_verdict(float8, float8, float8) IS
'For check_drift(): ok, watch from 0.1, retrain from 0.25, after what chance makes of it is taken off; ok as long as chance alone may have done it';

CREATE FUNCTION behavpred_internal.drift_users(graph text) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  g behavpred.registered_graph;
  users text[];
BEGIN
  SELECT * INTO g FROM behavpred.registered_graph r WHERE r.graph = $1;
  IF behavpred_internal.relation_named(g.user_embeddings) IS NOT NULL THEN
    EXECUTE format('SELECT array_agg(%I::text) FROM %s', g.user_column,
                   behavpred_internal.drift_sample(behavpred_internal.relation_named(g.user_embeddings), g.user_column)) INTO users;
  END IF;
  RETURN users;
END
$$;

COMMENT ON FUNCTION behavpred_internal.drift_users(text) IS 'For check_drift(): keys of a sample of a graph''s users';

-- Called when a graph (target is NULL) or a version of a target has been trained.
CREATE FUNCTION behavpred_internal.keep_drift_reference(graph text, target text, version int) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
  DELETE FROM behavpred.drift_reference d
  WHERE d.graph = $1 AND d.target IS NOT DISTINCT FROM $2 AND d.version IS NOT DISTINCT FROM $3;
  INSERT INTO behavpred.drift_reference (graph, owner, measure, edges, counts, users)
  SELECT $1, g.owner, 'users', '{}', '{}', behavpred_internal.drift_users($1) FROM behavpred.registered_graph g WHERE g.graph = $1 AND $2 IS NULL;
  -- Masses and gaps lie close together, so that tenths of them would make much of a little: knots of masses are a fifth
  -- apart, and those of gaps half a standard deviation of the scores.
  WITH v AS MATERIALIZED (SELECT * FROM behavpred_internal.drift_values($1, $2, $3))
  INSERT INTO behavpred.drift_reference (graph, target, version, owner, measure, edges, counts)
  SELECT $1, $2, $3, g.owner, v.measure, e.edges, behavpred_internal.drift_histogram(v.measure, v.numbers, e.edges)
  FROM behavpred.registered_graph g
  CROSS JOIN v
  CROSS JOIN LATERAL (
    SELECT CASE WHEN v.measure LIKE 'factor mass %' THEN '{0,0.2,0.4,0.6,0.8,1}'::float8[]
                WHEN v.measure = 'teacher-student gap'
                THEN (SELECT array_agg(coalesce(nullif(d.deviation, 0), 1) * k / 2 ORDER BY k)
                      FROM (SELECT stddev_pop(x) AS deviation FROM v s, unnest(s.numbers) x WHERE s.measure = 'score') d, generate_series(-6, 6) k)
                ELSE behavpred_internal.drift_edges(v.numbers) END) e (edges)
  WHERE g.graph = $1
$$;

COMMENT ON FUNCTION behavpred_internal.keep_drift_reference(text, text, int) IS
'For trainings: remember how a graph''s measures (target and version NULL) or those of a version of a target are spread now';

CREATE FUNCTION check_graph_drift(graph text)
RETURNS TABLE (measure text, reference_users bigint, present_users bigint, psi float8, by_chance float8, verdict text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM behavpred_internal.graph_named($1);
  IF NOT EXISTS (SELECT FROM behavpred.drift_reference d WHERE d.graph = $1 AND d.target IS NULL) THEN
    RAISE EXCEPTION USING errcode = 'object_not_in_prerequisite_state',
      message = format('graph "%s" has no reference to compare with', $1),
      detail = 'A training keeps it; there has been none since version 0.2.',
      hint = format('SELECT * FROM behavpred.train_graph(%L);', $1);
  END IF;
  RETURN QUERY
  SELECT d.measure, (SELECT sum(c) FROM unnest(d.counts) c)::bigint, cardinality(v.numbers)::bigint, i.index, i.by_chance,
         behavpred_internal.drift_verdict(i.index, i.by_chance, i.bound)
  FROM behavpred.drift_reference d
  JOIN behavpred_internal.drift_values($1, NULL, NULL) v ON v.measure = d.measure
  CROSS JOIN LATERAL behavpred_internal.drift_index(d.counts, behavpred_internal.drift_histogram(d.measure, v.numbers, d.edges)) i
  WHERE d.graph = $1 AND d.target IS NULL
  ORDER BY d.measure;
END
$$;

COMMENT ON FUNCTION check_graph_drift(text) IS
'How far degrees of a graph''s users have moved since its last training, and the length of the vector and the mass of each factor of users who were there then (a refresh moves them). psi: population stability index over tenths of the reference (of factor masses near fifths of the whole); by_chance: what it is on average without any drift at these numbers of users; verdict: ok, watch or retrain where psi less by_chance reaches 0.1 or 0.25 and is more than chance does in 999 of 1,000 cases';

CREATE FUNCTION behavpred_internal.drift_positives(graph text, target text, OUT positives bigint, OUT users bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  g behavpred.registered_graph;
  t behavpred.registered_target;
  cut timestamptz;
  sources text;
BEGIN
  SELECT * INTO g FROM behavpred.registered_graph r WHERE r.graph = $1;
  SELECT * INTO t FROM behavpred.registered_target r WHERE r.target = $2;
  SELECT u.until INTO cut FROM behavpred.graph_time u WHERE u.graph = $1;
  SELECT string_agg(q, ' UNION ') INTO sources FROM (VALUES
    (CASE WHEN cardinality(t.objects) > 0 THEN
       format('SELECT %I::text FROM %s i WHERE %I = ANY (%L::%s[]) AND %s', g.user_column, g.interactions, g.object_column, t.objects,
              g.object_key_type::regtype, behavpred_internal.capture_filter(g, behavpred_internal.relation_named(g.interactions), 'i'))
       || CASE WHEN t.horizon IS NOT NULL AND cut IS NOT NULL
               THEN format(' AND i.%1$I >= %2$L::timestamptz AND i.%1$I < %2$L::timestamptz + %3$L::interval', g.time_column, cut, t.horizon)
               ELSE CASE WHEN g.since IS NOT NULL THEN format(' AND i.%I >= %L::timestamptz - %L::interval', g.time_column, coalesce(cut, now()), g.since) ELSE '' END
                    || CASE WHEN cut IS NOT NULL THEN format(' AND i.%I < %L::timestamptz', g.time_column, cut) ELSE '' END
                    || CASE WHEN t.horizon IS NOT NULL THEN format(' AND i.%1$I >= (SELECT max(%1$I) FROM %2$s) - %3$L::interval', g.time_column, g.interactions, t.horizon) ELSE '' END
               END END),
    (CASE WHEN t.seeds IS NOT NULL THEN
       format('SELECT %I::text FROM %s', coalesce((SELECT a.attname FROM pg_attribute a WHERE a.attrelid = behavpred_internal.relation_named(t.seeds)
                                                   AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname <> g.user_column, a.attnum LIMIT 1), g.user_column), t.seeds) END)) s (q);
  IF sources IS NULL OR behavpred_internal.relation_named(g.user_embeddings) IS NULL THEN
    RETURN;
  END IF;
  -- A list made first: a distributed table of vectors can be counted beside it, and not beside any query.
  EXECUTE format('WITH member (key) AS MATERIALIZED (%s) SELECT count(*) FILTER (WHERE e.%I::text IN (SELECT key FROM member)), count(*) FROM %s e',
                 sources, g.user_column, behavpred_internal.relation_named(g.user_embeddings))
  INTO positives, users;
END
$$;

COMMENT ON FUNCTION behavpred_internal.drift_positives(text, text) IS 'For check_drift(): how many users of a graph belong to a target now, and of how many';

CREATE FUNCTION check_drift(target text)
RETURNS TABLE (measure text, reference_users bigint, present_users bigint, psi float8, by_chance float8, verdict text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  t behavpred.registered_target;
  m behavpred.trained_model;
  present record;
BEGIN
  SELECT * INTO t FROM behavpred.registered_target r WHERE r.target = $1;
  SELECT * INTO m FROM behavpred.trained_model r WHERE r.target = $1 AND r.version = t.deployed_version;
  IF t.target IS NULL THEN
    RAISE EXCEPTION USING errcode = CASE WHEN $1 IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN $1 IS NULL THEN 'target must not be NULL' ELSE format('target "%s" does not exist', $1) END,
      hint = 'Your targets: SELECT * FROM behavpred.targets;';
  ELSIF m.target IS NULL OR NOT EXISTS (SELECT FROM behavpred.drift_reference d WHERE d.target = $1 AND d.version = m.version) THEN
    RAISE EXCEPTION USING errcode = 'object_not_in_prerequisite_state',
      message = format('target "%s" has no reference to compare with', $1),
      detail = 'A training keeps it; the deployed version has none.',
      hint = format('SELECT * FROM behavpred.train_target(%L);', $1);
  END IF;
  IF NOT behavpred_internal.model_fits(t.graph, m.graph_run, (SELECT g.trained_run FROM behavpred.registered_graph g WHERE g.graph = t.graph)) THEN
    RETURN QUERY SELECT 'vectors', NULL::bigint, NULL::bigint, NULL::float8, NULL::float8, 'retrain';
    RETURN;
  END IF;
  RETURN QUERY
  SELECT d.measure, (SELECT sum(c) FROM unnest(d.counts) c)::bigint, cardinality(v.numbers)::bigint, i.index, i.by_chance,
         behavpred_internal.drift_verdict(i.index, i.by_chance, i.bound)
  FROM behavpred.drift_reference d
  JOIN behavpred_internal.drift_values(t.graph, $1, m.version) v ON v.measure = d.measure
  CROSS JOIN LATERAL behavpred_internal.drift_index(d.counts, behavpred_internal.drift_histogram(d.measure, v.numbers, d.edges)) i
  WHERE d.graph = t.graph AND d.target = $1 AND d.version = m.version
  ORDER BY d.measure;
  -- The rate is that of one bin alone: its squared logarithmic change is what the index is over many.
  SELECT * INTO present FROM behavpred_internal.drift_positives(t.graph, $1);
  RETURN QUERY
  SELECT 'positive rate', r.n::bigint, present.users, i.index, i.by_chance, behavpred_internal.drift_verdict(i.index, i.by_chance, 9.5 * i.by_chance)
  FROM (SELECT (m.metrics ->> 'population_positives')::float8 AS p, (m.metrics ->> 'candidates')::float8 AS n) r
  CROSS JOIN LATERAL (SELECT pow(ln((present.positives + 0.5) / (present.users + 1) / ((r.p + 0.5) / (r.n + 1))), 2) AS index,
                             1 / (r.p + 0.5) + 1 / (present.positives + 0.5) AS by_chance) i
  WHERE t.candidates IS NULL AND r.n > 0;
  RETURN QUERY SELECT d.* FROM behavpred.check_graph_drift(t.graph) d;
END
$$;

COMMENT ON FUNCTION check_drift(text) IS
'How far the deployed model of a target is from what it was trained on: its score, the gap between it and the graph''s own score of the target''s objects (teacher-student gap, of users who were there when the graph was trained), the rate of positives (unless the target has candidates; psi is then the square of its logarithmic change), and what check_graph_drift() tells of the graph. Its only row is "vectors" when the graph was trained anew and the model does not fit. Columns as there';

REVOKE EXECUTE ON FUNCTION check_drift(text), check_graph_drift(text) FROM PUBLIC;
