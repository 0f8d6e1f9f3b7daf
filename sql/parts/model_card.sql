
-- ---------------------------------------------------------------------------
-- Model card: what a model was made of, how good it is, what it cannot do. One set of
-- facts, rendered as JSON, Markdown, and (report.sql) HTML.
-- ---------------------------------------------------------------------------

CREATE FUNCTION behavpred_internal.card_number(number float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN abs(number) < 1e-9 THEN '0'
    WHEN abs(number) >= 1000 THEN to_char(number, 'FM999,999,999,999,990')
    ELSE trim_scale(round(number::numeric, 2 - floor(log(abs(number)::numeric))::int))::text END
$$;
COMMENT ON FUNCTION behavpred_internal.card_number(float8) IS 'For model cards and reports: a number with three digits, larger ones in groups of thousands';

-- The version that is asked for, else the deployed one, else the latest; complains when
-- there is none that the caller may read.
CREATE FUNCTION behavpred_internal.card_version(target text, version int) RETURNS int
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  known behavpred.targets;
  chosen int;
BEGIN
  SELECT * INTO known FROM behavpred.targets t WHERE t.target = $1;
  IF known IS NULL THEN
    RAISE EXCEPTION USING errcode = CASE WHEN $1 IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN $1 IS NULL THEN 'target must not be NULL' ELSE format('target "%s" does not exist', $1) END,
      hint = 'Yours: SELECT target FROM behavpred.targets;';
  END IF;
  SELECT max(m.version) INTO chosen FROM behavpred.models m
  WHERE m.target = $1 AND m.version = coalesce($2, known.deployed_version, m.version);
  IF chosen IS NULL AND known.owner <> current_user AND NOT behavpred_internal.sees_target(known.owner, known.graph, $1, 2) THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('permission denied to read the models of target "%s"', $1),
      detail = format('It belongs to "%s", who has not granted you read.', known.owner),
      hint = format('As its owner: SELECT behavpred.grant_on(''target'', %L, ''read'', %L);', $1, current_user);
  ELSIF chosen IS NULL THEN
    RAISE EXCEPTION USING errcode = 'undefined_object',
      message = format('target "%s" has no version%s', $1, ' ' || $2),
      detail = format('Its versions: %s.', coalesce((SELECT string_agg(m.version::text, ', ' ORDER BY m.version) FROM behavpred.models m WHERE m.target = $1), 'none')),
      hint = format('SELECT version FROM behavpred.models WHERE target = %1$L; or SELECT * FROM behavpred.train_target(%1$L);', $1);
  END IF;
  RETURN chosen;
END
$$;
COMMENT ON FUNCTION behavpred_internal.card_version(text, int) IS 'For model_card() and report_html(): the version that is meant';

-- First and last interaction up to the training, as the source is now. Sources may be views
-- that hold their author's functions, so they are read for their owner alone.
CREATE FUNCTION behavpred_internal.card_period(graph behavpred.registered_graph, until timestamptz, OUT first text, OUT last text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF graph.time_column IS NULL OR graph.owner <> current_user THEN
    RETURN;
  END IF;
  EXECUTE format('SELECT min(%1$I)::text, max(%1$I)::text FROM %2$s WHERE %1$I <= $1 AND ($2 IS NULL OR %1$I > $1 - $2)%3$s',
                 graph.time_column, graph.interactions,
                 CASE WHEN graph.behaviors IS NOT NULL THEN format(' AND %I::text = ANY ($3)', graph.behavior_column) END)
  INTO first, last USING until, graph.since, graph.behaviors;
EXCEPTION WHEN insufficient_privilege OR undefined_table OR undefined_column THEN
  RETURN;
END
$$;
COMMENT ON FUNCTION behavpred_internal.card_period(behavpred.registered_graph, timestamptz) IS
'For model_card(): first and last interaction that a training at this time could see; NULL without a time column, or when the caller is not the owner';

CREATE FUNCTION behavpred_internal.card_data(graph text, graph_run bigint, metrics jsonb) RETURNS json
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT json_build_object(
    'interactions', g.interactions, 'users', r.result -> 'users', 'objects', r.result -> 'objects', 'edges', r.result -> 'edges',
    'behaviors', g.behaviors, 'value_column', g.value_column, 'min_value', g.min_value, 'weight_column', g.weight_column,
    'max_degree', g.max_degree, 'user_features', g.user_features, 'object_features', g.object_features,
    'read_at', r.started_at, 'since', g.since, 'first_interaction', p.first, 'last_interaction', p.last,
    'row_security', g.row_security, 'graph_read_as', r.result ->> 'read_as', 'target_read_as', metrics ->> 'read_as')
  FROM behavpred.registered_graph g
  LEFT JOIN behavpred.runs r ON r.run_id = $2
  CROSS JOIN LATERAL behavpred_internal.card_period(g, r.started_at) p
  WHERE g.graph = $1
$$;
COMMENT ON FUNCTION behavpred_internal.card_data(text, bigint, jsonb) IS 'For model_card(): sources, sizes, period, and who read them under which row security';

CREATE FUNCTION behavpred_internal.card_training(run_id bigint) RETURNS json
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT json_build_object('run_id', r.run_id, 'role', r.role, 'started_at', r.started_at, 'seconds', r.seconds,
                           'seed', r.seed, 'threads', r.threads, 'options', r.options)
  FROM behavpred.runs r WHERE r.run_id = $1
$$;
COMMENT ON FUNCTION behavpred_internal.card_training(bigint) IS 'For model_card(): who trained, when, with which seed and options';

-- An imported model, or one of an earlier version, has no test part here: its figures are
-- those that came with it.
CREATE FUNCTION behavpred_internal.card_metrics(target text, version int) RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT json_agg(json_build_object('metric', e.metric, 'at', e.at, 'value', e.value, 'low', e.low, 'high', e.high,
                                      'popularity', e.popularity, 'prior', e.prior, 'n', e.n, 'positives', e.positives) ORDER BY e.place)
    FROM behavpred.evaluate(target, version => version) WITH ORDINALITY
      AS e (metric, at, value, low, high, n, positives, popularity, prior, basis, place));
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RETURN (
    SELECT json_agg(json_build_object('metric', m.metric, 'at', NULL, 'value', m.value, 'low', m.low, 'high', m.high,
                                      'popularity', NULL, 'prior', NULL, 'n', m.n, 'positives', m.positives) ORDER BY m.metric)
    FROM behavpred.metrics m WHERE m.target = $1 AND m.version = $2);
END
$$;
COMMENT ON FUNCTION behavpred_internal.card_metrics(text, int) IS 'For model_card(): evaluate() of a version; the figures that came with it, when no test part was kept';

CREATE FUNCTION behavpred_internal.card_calibration(target text, version int, options jsonb) RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN (
    SELECT json_build_object('method', options -> 'calibration', 'bins', json_agg(
             json_build_object('probability', c.probability, 'rate', c.rate, 'low', c.low, 'high', c.high,
                               'n', c.n, 'positives', c.positives) ORDER BY c.bin))
    FROM behavpred.calibration_curve(target, version => version) c);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RETURN json_build_object('method', options -> 'calibration', 'bins', '[]'::json);
END
$$;
COMMENT ON FUNCTION behavpred_internal.card_calibration(text, int, jsonb) IS 'For model_card(): method and reliability curve';

-- What a reader has to know before he relies on it; the first lines are those that the
-- figures of this very model give rise to.
CREATE FUNCTION behavpred_internal.card_limits(model behavpred.models, known behavpred.targets, graph behavpred.registered_graph, evaluated json) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(l.line ORDER BY l.place)
  FROM json_to_recordset(evaluated) AS auc (metric text, value float8, low float8, high float8, popularity float8, positives bigint)
  CROSS JOIN LATERAL (VALUES
    (1, NOT model.usable, 'The graph has been trained again since: this version is not used for predictions any more.'),
    (2, model.metrics ->> 'test_basis' = 'in_graph', 'The vectors were trained on the very interactions to be predicted, so these figures are too good. Train the graph again, now that the target is known.'),
    (3, auc.popularity IS NULL, 'No test part was kept here, as of a model that was imported: its figures are those that came with it, and curves cannot be drawn.'),
    (3, auc.positives < 100, format('Only %s positive users measured it; the AUC is known to within %s.', auc.positives, behavpred_internal.card_number((auc.high - auc.low) / 2))),
    (4, auc.popularity >= auc.low, format('The number of interactions alone reaches an AUC of %s, no worse than this model within its interval.', behavpred_internal.card_number(auc.popularity))),
    (5, (model.metrics ->> 'teacher_auc')::float8 > auc.value, format('The teacher, from which this model learns, ranks the same users better (AUC %s).', behavpred_internal.card_number((model.metrics ->> 'teacher_auc')::float8))),
    (6, known.seeds IS NOT NULL, 'Positives include a list of seeds: the probability is that of being one of them, not of acting.'),
    (7, graph.row_security = 'apply', 'Policies of row security thinned the sources: it knows what the roles above may see, and nothing else.'),
    (8, graph.user_features IS NOT NULL OR graph.users IS NOT NULL, 'Features of users went into the vectors; whether they may decide such a question is for you to judge.'),
    (9, true, 'Measured on users who were kept out of the training, from the same period: how it does later is not measured here.'),
    (10, true, 'Probabilities refer to users like the candidates at the time of the training.'),
    (11, true, 'It tells who is likely to act, not whom an approach would move to act.')
  ) AS l (place, holds, line)
  WHERE auc.metric = 'auc' AND l.holds
$$;
COMMENT ON FUNCTION behavpred_internal.card_limits(behavpred.models, behavpred.targets, behavpred.registered_graph, json) IS 'For model_card(): what the model cannot do, and what its figures warn of';

CREATE FUNCTION behavpred_internal.card_facts(target text, version int) RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  chosen int := behavpred_internal.card_version(target, version);
  known behavpred.targets;
  model behavpred.models;
  graph behavpred.registered_graph;
  options jsonb;
  graph_run bigint;
  evaluated json;
BEGIN
  SELECT * INTO known FROM behavpred.targets t WHERE t.target = $1;
  SELECT * INTO model FROM behavpred.models m WHERE m.target = $1 AND m.version = chosen;
  SELECT * INTO graph FROM behavpred.registered_graph g WHERE g.graph = known.graph;
  SELECT r.options INTO options FROM behavpred.runs r WHERE r.run_id = model.run_id;
  SELECT t.graph_run INTO graph_run FROM behavpred.trained_model t WHERE t.target = $1 AND t.version = chosen;
  evaluated := behavpred_internal.card_metrics($1, chosen);
  RETURN json_build_object(
    'model', json_build_object('target', $1, 'version', chosen, 'deployed', model.deployed, 'deployed_at', model.deployed_at,
      'trained_at', model.trained_at, 'owner', model.owner, 'graph', known.graph, 'objects', known.objects, 'seeds', known.seeds,
      'candidates', known.candidates, 'negatives', known.negatives, 'horizon', known.horizon, 'software', 'behavpred ' || behavpred.version()),
    'data', behavpred_internal.card_data(known.graph, graph_run, model.metrics),
    'sample', json_build_object('positives', model.metrics -> 'n_positive', 'negatives', model.metrics -> 'n_negative',
      'candidates', model.metrics -> 'candidates', 'base_rate', model.metrics -> 'base_rate',
      'test_positives', model.metrics -> 'test_positives', 'test_negatives', model.metrics -> 'test_negatives',
      'test_basis', model.metrics -> 'test_basis', 'teacher', model.metrics -> 'teacher', 'teacher_auc', model.metrics -> 'teacher_auc'),
    'graph_training', coalesce(behavpred_internal.card_training(graph_run), json_build_object('run_id', graph_run, 'shown_to', 'readers of the graph')),
    'target_training', behavpred_internal.card_training(model.run_id),
    'metrics', evaluated,
    'calibration', behavpred_internal.card_calibration($1, chosen, options),
    'limits', to_json(behavpred_internal.card_limits(model, known, graph, evaluated)));
END
$$;
COMMENT ON FUNCTION behavpred_internal.card_facts(text, int) IS 'For model_card() and report_html(): all that they tell of a version of a model';

-- A JSON value as a reader wants it.
CREATE FUNCTION behavpred_internal.card_text(value json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE json_typeof(value)
    WHEN 'null' THEN 'none'
    WHEN 'number' THEN CASE WHEN value #>> '{}' ~ '^-?[0-9]{1,15}$' THEN value #>> '{}' ELSE behavpred_internal.card_number((value #>> '{}')::float8) END
    WHEN 'boolean' THEN CASE value #>> '{}' WHEN 'true' THEN 'yes' ELSE 'no' END
    WHEN 'array' THEN (SELECT string_agg(behavpred_internal.card_text(e), ', ') FROM json_array_elements(value) e)
    WHEN 'object' THEN (SELECT string_agg(key || ' ' || behavpred_internal.card_text(o.value), ', ') FROM json_each(value) o)
    ELSE regexp_replace(value #>> '{}', E'^(\\d{4}-\\d\\d-\\d\\d)[T ](\\d\\d:\\d\\d):[0-9.:+-]+$', E'\\1 \\2') END
$$;
COMMENT ON FUNCTION behavpred_internal.card_text(json) IS 'For model cards: a value in words, numbers with three digits, times to the minute';

-- Names come from users: nothing in them may end a cell or begin a tag.
CREATE FUNCTION behavpred_internal.card_cell(value json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(regexp_replace(regexp_replace(behavpred_internal.card_text(value), '[[:cntrl:]]+', ' ', 'g'), E'([\\\\`*\\[\\]<>|~]|(?<![[:alnum:]])_|_(?![[:alnum:]]))', E'\\\\\\1', 'g'), 'none')
$$;
COMMENT ON FUNCTION behavpred_internal.card_cell(json) IS 'For model cards: a value as the cell of a Markdown table';

CREATE FUNCTION behavpred_internal.card_table(facts json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT E'| | |\n|---|---|\n' || string_agg(format(E'| %s | %s |\n', replace(f.key, '_', ' '), behavpred_internal.card_cell(f.value)), '' ORDER BY f.place)
  FROM json_each(facts) WITH ORDINALITY AS f (key, value, place)
$$;
COMMENT ON FUNCTION behavpred_internal.card_table(json) IS 'For model cards: an object as a Markdown table of two columns';

CREATE FUNCTION behavpred_internal.card_records(records json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(CASE WHEN r.place = 1 THEN h.head || h.rule ELSE '' END || c.line, '' ORDER BY r.place)
  FROM json_array_elements(records) WITH ORDINALITY AS r (record, place),
    LATERAL (SELECT '| ' || string_agg(replace(key, '_', ' '), ' | ') || E' |\n' AS head, repeat('|---', count(*)::int) || E'|\n' AS rule
             FROM json_object_keys(r.record) AS key) AS h,
    LATERAL (SELECT '| ' || string_agg(CASE json_typeof(f.value) WHEN 'null' THEN '' ELSE behavpred_internal.card_cell(f.value) END, ' | ' ORDER BY f.place) || E' |\n' AS line
             FROM json_each(r.record) WITH ORDINALITY AS f (key, value, place)) AS c
$$;
COMMENT ON FUNCTION behavpred_internal.card_records(json) IS 'For model cards: an array of objects as a Markdown table';

CREATE FUNCTION behavpred_internal.card_markdown(facts json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT concat_ws(E'\n',
    format(E'# Model card: %s, version %s\n', behavpred_internal.card_cell(facts #> '{model,target}'), facts #>> '{model,version}'),
    behavpred_internal.card_table(facts -> 'model'),
    E'## Data\n', behavpred_internal.card_table(facts -> 'data'),
    E'## Sample\n', behavpred_internal.card_table(facts -> 'sample'),
    E'## Training of the graph\n', behavpred_internal.card_table(facts -> 'graph_training'),
    E'## Training of the target\n', behavpred_internal.card_table(facts -> 'target_training'),
    E'## Quality\n', E'Low to high is the 95 % interval; popularity ranks users by their number of interactions, prior gives everybody the base rate.\n',
    behavpred_internal.card_records(facts -> 'metrics'),
    E'## Calibration\n', format(E'Method: %s.\n', behavpred_internal.card_cell(facts #> '{calibration,method}')), behavpred_internal.card_records(facts #> '{calibration,bins}'),
    E'## Limits\n', (SELECT string_agg('- ' || behavpred_internal.card_cell(to_json(line)) || E'\n', '' ORDER BY place)
                     FROM json_array_elements_text(facts -> 'limits') WITH ORDINALITY AS l (line, place)))
$$;
COMMENT ON FUNCTION behavpred_internal.card_markdown(json) IS 'For model_card(): the facts as Markdown';

CREATE FUNCTION model_card(target text, format text DEFAULT 'markdown', version int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF format IS NULL OR format NOT IN ('markdown', 'json') THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN format IS NULL THEN 'format must not be NULL' ELSE pg_catalog.format('format is "%s"', format) END,
      detail = 'It is markdown or json.',
      hint = pg_catalog.format('SELECT behavpred.model_card(%L, format => ''json'');', coalesce(target, 'buys_42'));
  END IF;
  RETURN CASE format WHEN 'json' THEN behavpred_internal.card_facts(target, version)::text
                     ELSE behavpred_internal.card_markdown(behavpred_internal.card_facts(target, version)) END;
END
$$;
COMMENT ON FUNCTION model_card(text, text, int) IS
'What a model was made of, how good it is and what it cannot do, to be kept with it: sources and period, role and row security, seed and options of both trainings, metrics with intervals, calibration, limits. format: markdown (default) or json. version: default the deployed one, else the latest. First and last interaction are told to the graph''s owner only, as the source is now up to the training';
