-- behavpred: behaviour prediction and audience expansion inside the database.
-- All objects live in schema behavpred, which CREATE EXTENSION makes.

\echo Use "CREATE EXTENSION behavpred" to load this file. \quit

-- ---------------------------------------------------------------------------
-- What is registered and what was trained. Every role sees and changes its own
-- rows only (row security by owner), so the functions need no SECURITY DEFINER.
-- Owners are kept by name, relations as quoted text: both survive a restore into
-- a database where the role or the table is not there yet.
-- ---------------------------------------------------------------------------

CREATE TABLE registered_graph (
  graph text PRIMARY KEY CHECK (length(graph) BETWEEN 1 AND 40),
  owner name NOT NULL DEFAULT current_user,
  created_at timestamptz NOT NULL DEFAULT now(),
  interactions text NOT NULL,
  user_column name NOT NULL,
  object_column name NOT NULL,
  user_key_type text NOT NULL,
  object_key_type text NOT NULL,
  behavior_column name,
  behaviors text[],
  value_column name,
  min_value float8,
  weight_column name,
  time_column name,
  since interval,
  users text,
  user_features name[],
  objects text,
  object_features name[],
  max_degree int,
  row_security text NOT NULL CHECK (row_security IN ('error', 'apply')),
  user_embeddings text,
  object_embeddings text,
  trained_run bigint
);

CREATE TABLE training_run (
  run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  graph text NOT NULL REFERENCES registered_graph ON DELETE CASCADE,
  target text,
  version int,
  owner name NOT NULL DEFAULT current_user,
  pid int NOT NULL DEFAULT pg_backend_pid(),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  status text NOT NULL CHECK (status IN ('running', 'done', 'failed')),
  seed bigint NOT NULL,
  threads int NOT NULL,
  options jsonb NOT NULL,
  result jsonb
);

CREATE TABLE training_epoch (
  run_id bigint NOT NULL REFERENCES training_run ON DELETE CASCADE,
  epoch int NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  loss float8 NOT NULL,
  recall_at_20 float8,
  ndcg_at_20 float8,
  seconds float8 NOT NULL,
  PRIMARY KEY (run_id, epoch)
);

CREATE TABLE registered_target (
  target text PRIMARY KEY CHECK (length(target) BETWEEN 1 AND 63),
  graph text NOT NULL REFERENCES registered_graph ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  created_at timestamptz NOT NULL DEFAULT now(),
  objects text[] NOT NULL,
  seeds text,
  candidates text,
  negatives text,
  horizon interval,
  deployed_version int
);

COMMENT ON TABLE registered_graph IS 'Graphs: where their interactions and features are, and where their embeddings went';
COMMENT ON TABLE training_run IS 'Trainings of graphs and targets: options, and results as JSON';
COMMENT ON TABLE training_epoch IS 'What each epoch of a training of a graph reached';
COMMENT ON TABLE registered_target IS 'Targets: one behaviour to predict for one object or several';

-- The model of one target: an array of numbers with a header and a checksum.
CREATE TYPE model;

CREATE FUNCTION model_in(cstring) RETURNS model
  AS 'MODULE_PATHNAME', 'behavpred_model_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION model_out(model) RETURNS cstring
  AS 'MODULE_PATHNAME', 'behavpred_model_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION model_recv(internal) RETURNS model
  AS 'MODULE_PATHNAME', 'behavpred_model_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION model_send(model) RETURNS bytea
  AS 'MODULE_PATHNAME', 'behavpred_model_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE model (
  INPUT = model_in, OUTPUT = model_out, RECEIVE = model_recv, SEND = model_send,
  INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);

COMMENT ON TYPE model IS 'A trained model of a target: numbers with a header and a checksum, made by train_target()';
COMMENT ON FUNCTION model_in(cstring) IS 'Input of type model';
COMMENT ON FUNCTION model_out(model) IS 'Output of type model';
COMMENT ON FUNCTION model_recv(internal) IS 'Binary input of type model';
COMMENT ON FUNCTION model_send(model) IS 'Binary output of type model';

CREATE TABLE trained_model (
  target text NOT NULL REFERENCES registered_target ON DELETE CASCADE,
  version int NOT NULL CHECK (version > 0),
  owner name NOT NULL DEFAULT current_user,
  run_id bigint NOT NULL REFERENCES training_run ON DELETE CASCADE,
  graph_run bigint NOT NULL,
  trained_at timestamptz NOT NULL DEFAULT now(),
  model model NOT NULL,
  metrics jsonb NOT NULL,
  PRIMARY KEY (target, version)
);

COMMENT ON TABLE trained_model IS 'Versions of the model of each target, with their quality as JSON';

-- Every role works on its own rows; the functions are called with its own privileges.

GRANT USAGE ON SCHEMA behavpred TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE
  ON registered_graph, training_run, training_epoch, registered_target, trained_model TO PUBLIC;

ALTER TABLE registered_graph ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_run ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_epoch ENABLE ROW LEVEL SECURITY;
ALTER TABLE registered_target ENABLE ROW LEVEL SECURITY;
ALTER TABLE trained_model ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON registered_graph USING (owner = current_user);
CREATE POLICY own_rows ON training_run USING (owner = current_user);
CREATE POLICY own_rows ON training_epoch USING (owner = current_user);
CREATE POLICY own_rows ON registered_target USING (owner = current_user);
CREATE POLICY own_rows ON trained_model USING (owner = current_user);

COMMENT ON POLICY own_rows ON registered_graph IS 'Every role sees and changes its own graphs';
COMMENT ON POLICY own_rows ON training_run IS 'Every role sees and changes its own runs';
COMMENT ON POLICY own_rows ON training_epoch IS 'Every role sees and changes its own runs';
COMMENT ON POLICY own_rows ON registered_target IS 'Every role sees and changes its own targets';
COMMENT ON POLICY own_rows ON trained_model IS 'Every role sees and changes its own models';

SELECT pg_extension_config_dump('registered_graph', '');
SELECT pg_extension_config_dump('training_run', '');
SELECT pg_extension_config_dump('training_run_run_id_seq', '');
SELECT pg_extension_config_dump('training_epoch', '');
SELECT pg_extension_config_dump('registered_target', '');
SELECT pg_extension_config_dump('trained_model', '');

-- ---------------------------------------------------------------------------
-- Graphs
-- ---------------------------------------------------------------------------

CREATE FUNCTION create_graph(
  graph text, interactions regclass,
  user_column name DEFAULT 'user_id', object_column name DEFAULT 'object_id',
  behavior_column name DEFAULT NULL, behaviors text[] DEFAULT NULL,
  value_column name DEFAULT NULL, min_value float8 DEFAULT NULL,
  weight_column name DEFAULT NULL, time_column name DEFAULT NULL, since interval DEFAULT NULL,
  users regclass DEFAULT NULL, user_features name[] DEFAULT NULL,
  objects regclass DEFAULT NULL, object_features name[] DEFAULT NULL,
  max_degree int DEFAULT NULL, row_security text DEFAULT 'error',
  OUT users_found bigint, OUT objects_found bigint, OUT edges bigint,
  OUT interactions_read bigint, OUT duplicates bigint, OUT null_keys bigint)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_create_graph' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION create_graph(text, regclass, name, name, name, text[], name, float8, name, name, interval, regclass, name[], regclass, name[], int, text) IS
'Register a graph of who did what to what, and read it once.
graph: 1 to 40 letters, digits and underscores. interactions: table, view, materialized view, partitioned or foreign table; read as the caller.
user_column, object_column: smallint, integer, bigint, text, varchar or uuid; rows where one is NULL are counted and left out.
behavior_column, behaviors: only rows whose behavior is one of these. value_column, min_value: only rows with at least this value (an interval counts in seconds).
weight_column: finite numbers >= 0; weights of the same pair are added. time_column, since: only rows of the last interval before now().
users, user_features, objects, object_features: tables of features, keyed by a column named as in the interactions or by their primary key; without names, every column that can be a feature. Numbers and booleans are standardised, text and enums are one-hot (up to 100 values), real[] and double precision[] are taken as they are; NULL becomes the mean and is flagged.
max_degree: keep at most this many neighbours of a node, chosen at random by the seed; default all.
row_security: error (default) refuses sources whose policies hide rows from the caller, apply reads what the caller sees.
Result: nodes, distinct pairs, rows read, rows that fell onto an existing pair, rows with a NULL key.';

CREATE FUNCTION describe_graph(graph text)
RETURNS TABLE (property text, value text)
AS 'MODULE_PATHNAME', 'behavpred_describe_graph' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION describe_graph(text) IS
'Read the sources of a graph as they are now and describe it: counts of nodes, edges and rows, percentiles (nearest rank) of the degree of users and objects, first and last interaction (with time_column), features after expansion, the last training. For the owner of the graph.';

CREATE FUNCTION train_graph(
  graph text,
  dimension int DEFAULT 64, factors int DEFAULT 4, layers int DEFAULT 2,
  routing_iterations int DEFAULT 2,
  epochs int DEFAULT NULL, batch_size int DEFAULT NULL, learning_rate float8 DEFAULT NULL,
  negatives int DEFAULT NULL, temperature float8 DEFAULT NULL, patience int DEFAULT NULL,
  validation_fraction float8 DEFAULT NULL, seed bigint DEFAULT NULL, threads int DEFAULT NULL,
  options jsonb DEFAULT NULL,
  OUT run_id bigint, OUT epochs_run int, OUT best_epoch int, OUT loss float8,
  OUT recall_at_20 float8, OUT ndcg_at_20 float8,
  OUT user_embeddings text, OUT object_embeddings text, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_train_graph' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION train_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb) IS
'Train the graph network and write the embeddings of users and objects to two ordinary tables, <graph>_user_embedding and <graph>_object_embedding; a later training replaces their rows. NULL means the default, which may depend on the size of the graph.
dimension: numbers in a vector, 1 to 1024, a multiple of factors. factors: feature subspaces, 1 to 32. layers: 1 to 8. routing_iterations: 1 to 8.
epochs: at most, 0 to 10000, default 10 to 100 (more for a small graph). batch_size: positive edges for each step, 1 to 1048576, default a 50th of all but at least 256. learning_rate: of Adam, 1e-6 to 10, default 0.03. negatives: objects drawn for each chunk of positives, 1 to 65536, default 1024. temperature: of the loss, 0.02 to 10, default 0.3 for 1,000 objects or fewer, falling to 0.1 for 40,000 or more. patience: epochs without a better validation NDCG before it stops, 0 = never, default a fifth of epochs within 4 to 20. Users are shielded from part of their edges to the objects of targets that exist when the graph is trained, so create targets first (option target_fraction, default 0.5). validation_fraction: of the edges, held out for early stopping and calibration, 0 to 0.5, default what holds out 10000 edges, within 0.01 to 0.1.
seed: default behavpred.seed. threads: default behavpred.threads; does not change the result.
options: rare ones as JSON: routing (claim, disengcn, off), routing_temperature, attention (symmetric, additive, off), attention_width, neighbour_scale, mapping (automatic, identity, linear), layer_mean, full_gradient, id_embeddings, loss (softmax, logistic), spectral_start, initial_bias, target_fraction, weight_decay; also any of epochs to validation_fraction, which the argument of the same name overrides.
Result: the run (see the views runs and training_log), epochs run, the epoch that was kept and its loss and quality on held-out edges, the tables, seconds in all.';

CREATE FUNCTION evaluate_graph(
  graph text, held_out regclass, k int DEFAULT 20, threads int DEFAULT NULL,
  OUT users bigint, OUT pairs bigint, OUT pairs_left_out bigint,
  OUT recall float8, OUT recall_error float8, OUT ndcg float8, OUT ndcg_error float8,
  OUT precision_at_k float8, OUT hit_rate float8,
  OUT popularity_recall float8, OUT popularity_ndcg float8, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_evaluate_graph' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION evaluate_graph(text, regclass, int, int) IS
'Rank all objects for each user of held_out, without those the user has in the graph, and compare the k best with the held-out pairs. held_out: a relation with the user and object columns of the graph. k: 1 to 1000. threads: default behavpred.threads.
Result: users and distinct pairs compared; rows left out because their user or object is not in the graph, they repeat, or the graph has them already; recall, NDCG (binary gains), precision and hit rate at k as means over users, with standard errors; the same for ranking by degree.';

CREATE FUNCTION drop_graph(graph text) RETURNS void
AS 'MODULE_PATHNAME', 'behavpred_drop_graph' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION drop_graph(text) IS
'Drop a graph, its embedding tables, its runs, and the targets and models that were built on it.';

-- ---------------------------------------------------------------------------
-- Targets
-- ---------------------------------------------------------------------------

CREATE FUNCTION create_target(
  target text, graph text, object text DEFAULT NULL, objects text[] DEFAULT NULL,
  seeds regclass DEFAULT NULL, candidates regclass DEFAULT NULL,
  negatives regclass DEFAULT NULL, horizon interval DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME', 'behavpred_create_target' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION create_target(text, text, text, text[], regclass, regclass, regclass, interval) IS
  'Registers a target: one behaviour (that of the graph) to predict for an object, a set of objects, or users like those of a seeds relation. candidates: users to choose from (default: all of the graph); negatives: users known not to do it (default: sampled); horizon: only interactions of that last stretch of time make a user positive';

CREATE FUNCTION train_target(
  target text, model text DEFAULT 'logistic', hidden int[] DEFAULT NULL,
  soft_weight float8 DEFAULT 0.5, seed_weights text DEFAULT 'isolation_forest',
  negative_ratio float8 DEFAULT NULL, calibration text DEFAULT 'platt',
  seed bigint DEFAULT NULL, threads int DEFAULT NULL, options jsonb DEFAULT NULL,
  OUT run_id bigint, OUT version int, OUT n_positive bigint, OUT n_negative bigint,
  OUT auc float8, OUT pr_auc float8, OUT log_loss float8, OUT ece float8,
  OUT lift_at_1pct float8, OUT teacher_auc float8, OUT activity_auc float8,
  OUT test_positives bigint, OUT test_basis text, OUT deployed boolean, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_train_target' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION train_target(text, text, int[], float8, text, float8, text, bigint, int, jsonb) IS
  'Trains the next version of a target''s model (logistic or mlp) on sampled users: hard labels, soft labels of the graph network (soft_weight 0 to 1), seeds weighted by how sparse their surroundings are (seed_weights isolation_forest or none). Quality is measured on users that trained nothing: test_basis unseen = their interaction with the object was held out of the graph''s training, too; in_graph = it was not, so that the figures are optimistic. options: soft_temperature, ridge, iterations, epochs, batch_size, learning_rate, seed_weight_scale (raw, mean1, spread), deploy (if_better, always, never)';

CREATE FUNCTION drop_target(target text) RETURNS void
AS 'MODULE_PATHNAME', 'behavpred_drop_target' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION drop_target(text) IS 'Removes a target and all its models';

-- ---------------------------------------------------------------------------
-- Use
-- ---------------------------------------------------------------------------

CREATE FUNCTION score(model model, embedding real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_score' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION score(model, real[]) IS
  'Probability, 0 to 1, that the user with this embedding does it. Pure: may stand in parallel scans, on shards, in generated columns';

CREATE FUNCTION predict(target text, user_id anyelement) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_predict' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION predict(target text, user_id text) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_predict' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION predict(text, anyelement) IS
  'Probability, 0 to 1, that the user does what the target stands for, among the target''s candidates; NULL for a user the graph does not know';
COMMENT ON FUNCTION predict(text, text) IS
  'The same, the user''s key as text';

CREATE FUNCTION audience(
  target text, size bigint DEFAULT NULL, fraction float8 DEFAULT NULL,
  min_probability float8 DEFAULT NULL, min_lift float8 DEFAULT NULL,
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (rank bigint, user_key text, probability float8, lift float8)
AS 'MODULE_PATHNAME', 'behavpred_audience' LANGUAGE C STABLE;

COMMENT ON FUNCTION audience(text, bigint, float8, float8, float8, boolean, regclass, int) IS
  'The users most likely to do it, best first, ties by key. All given conditions hold: size, fraction of the candidates that are not left out (above 0, at most 1; rounded, at least one user), min_probability, min_lift (probability over the base rate); none given: the best 1,000. Users who did it and seeds are left out unless exclude_known is false. candidates: choose among the users of this relation, default those of the target. threads: default behavpred.threads; does not change the result';

CREATE FUNCTION audience_into(
  target text, destination text, size bigint DEFAULT NULL, fraction float8 DEFAULT NULL,
  min_probability float8 DEFAULT NULL, min_lift float8 DEFAULT NULL,
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'behavpred_audience_into' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION audience_into(text, text, bigint, float8, float8, float8, boolean, regclass, int) IS
  'audience() into a new table of yours, destination (a name, with or without a schema), with the columns rank, the user column in its own type as primary key, probability, lift; returns the number of rows';

CREATE FUNCTION recommend(graph text, user_id anyelement, k int DEFAULT 10, exclude_seen boolean DEFAULT true)
RETURNS TABLE (rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend' LANGUAGE C STABLE STRICT;
CREATE FUNCTION recommend(graph text, user_id text, k int DEFAULT 10, exclude_seen boolean DEFAULT true)
RETURNS TABLE (rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION recommend(text, anyelement, int, boolean) IS
  'The k objects with the highest score for a user, exactly; exclude_seen leaves out those he has interacted with. No rows for a user the graph does not know';
COMMENT ON FUNCTION recommend(text, text, int, boolean) IS 'The same, the user''s key as text';

CREATE FUNCTION embedding(graph text, user_id anyelement) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION embedding(graph text, user_id text) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION embedding(text, anyelement) IS
  'A user''s stored vector: the unit vector divided by the root of the temperature, then 1. NULL for a user the graph does not know';
COMMENT ON FUNCTION embedding(text, text) IS 'The same, the user''s key as text';
CREATE FUNCTION object_embedding(graph text, object_id anyelement) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_object_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION object_embedding(graph text, object_id text) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_object_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION object_embedding(text, anyelement) IS
  'An object''s stored vector, the last number its bias; dot(embedding, object_embedding) is the score. NULL for an object the graph does not know';
COMMENT ON FUNCTION object_embedding(text, text) IS 'The same, the object''s key as text';

CREATE FUNCTION dot(a real[], b real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_dot' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION dot(real[], real[]) IS 'Dot product of two arrays of the same length, summed in double precision';
CREATE FUNCTION cosine(a real[], b real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_cosine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cosine(real[], real[]) IS 'Cosine of two arrays of the same length, -1 to 1; NULL when one of them has length zero';

CREATE FUNCTION version() RETURNS text
AS 'MODULE_PATHNAME', 'behavpred_version' LANGUAGE C IMMUTABLE PARALLEL SAFE;

-- Qualified, because pg_catalog has one of this name.
COMMENT ON FUNCTION behavpred.version() IS 'Version of the loaded library';

-- ---------------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------------

-- PostgreSQL 14 reads a view as its owner, past the policies above, so the views say
-- themselves whose rows are seen.
CREATE FUNCTION sees_rows_of(owner name) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT owner = current_user
    OR EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls))
$$;

COMMENT ON FUNCTION sees_rows_of(name) IS 'For the views: whether the current role sees the rows of this one';

CREATE VIEW graphs AS
SELECT g.graph, g.owner, g.created_at, g.interactions, g.user_column, g.object_column,
       g.behavior_column, g.behaviors, g.value_column, g.min_value, g.weight_column, g.time_column, g.since,
       g.users, g.user_features, g.objects, g.object_features, g.max_degree, g.row_security,
       g.user_embeddings, g.object_embeddings, g.trained_run, r.finished_at AS trained_at
FROM registered_graph g
LEFT JOIN training_run r ON r.run_id = g.trained_run
WHERE sees_rows_of(g.owner);

COMMENT ON VIEW graphs IS 'Your graphs, with the run that made their embeddings';

CREATE VIEW targets AS
SELECT t.target, t.graph, t.owner, t.created_at, t.objects, t.seeds, t.candidates, t.negatives, t.horizon,
       t.deployed_version, m.trained_at
FROM registered_target t
LEFT JOIN trained_model m ON m.target = t.target AND m.version = t.deployed_version
WHERE sees_rows_of(t.owner);

COMMENT ON VIEW targets IS 'Your targets, with the version that predicts now';

CREATE VIEW models AS
SELECT m.target, m.version, m.version = t.deployed_version AS deployed, m.owner, m.trained_at, m.run_id, m.metrics
FROM trained_model m
JOIN registered_target t ON t.target = m.target
WHERE sees_rows_of(m.owner);

COMMENT ON VIEW models IS 'Versions of your models, with their quality';

CREATE VIEW runs AS
SELECT r.run_id, r.graph, r.target, r.version, r.owner, r.pid, r.status, r.started_at, r.finished_at,
       extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds,
       r.seed, r.threads, r.options, r.result
FROM training_run r
WHERE sees_rows_of(r.owner);

COMMENT ON VIEW runs IS 'Your trainings of graphs (target is NULL) and targets';

CREATE VIEW training_log AS
SELECT e.run_id, r.graph, e.epoch, e.loss, e.recall_at_20, e.ndcg_at_20, e.seconds
FROM training_epoch e
JOIN training_run r ON r.run_id = e.run_id
WHERE sees_rows_of(e.owner);

COMMENT ON VIEW training_log IS 'Epochs of your trainings of graphs: loss, quality on held-out edges, seconds';

DO $$
DECLARE
  view_name name;
BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    FOREACH view_name IN ARRAY '{graphs,targets,models,runs,training_log}'::name[] LOOP
      EXECUTE format('ALTER VIEW behavpred.%I SET (security_invoker = true)', view_name);
    END LOOP;
  END IF;
END
$$;

GRANT SELECT ON graphs, targets, models, runs, training_log TO PUBLIC;

-- What trains, creates tables or reads whole sources is granted by an administrator.
REVOKE EXECUTE ON FUNCTION
  create_graph(text, regclass, name, name, name, text[], name, float8, name, name, interval, regclass, name[], regclass, name[], int, text),
  train_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb),
  evaluate_graph(text, regclass, int, int),
  drop_graph(text),
  create_target(text, text, text, text[], regclass, regclass, regclass, interval),
  train_target(text, text, int[], float8, text, float8, text, bigint, int, jsonb),
  drop_target(text),
  audience_into(text, text, bigint, float8, float8, float8, boolean, regclass, int)
FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Demonstration data
-- ---------------------------------------------------------------------------

-- Uniform in [0, 1): a pure function of its arguments, so that the data are the same
-- at every call. No SET clause, so that it is inlined.
CREATE FUNCTION demo_uniform(seed bigint, stream int, item bigint) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT (hashint8extended(item, seed * 64 + stream) >> 11 & 9007199254740991) / 9007199254740992.0::float8 $$;

CREATE FUNCTION demo_data(
  schema name DEFAULT 'demo',
  users int DEFAULT 5000, objects int DEFAULT 500, factors int DEFAULT 4, targets int DEFAULT 5,
  events_per_user int DEFAULT 20, target_rate float8 DEFAULT 0.08, seed bigint DEFAULT 42)
RETURNS TABLE (relation text, row_count bigint, what text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  countries CONSTANT text[] := '{SE,DE,JP,BR,IN,US}';
  plans CONSTANT text[] := '{free,basic,pro}';
BEGIN
  IF users < 20 OR objects < factors * 5 OR factors NOT BETWEEN 1 AND 64 OR targets NOT BETWEEN 1 AND 1000
     OR events_per_user NOT BETWEEN 2 AND 10000 OR NOT target_rate BETWEEN 0.001 AND 0.3 THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = 'demo_data cannot plant its factors in data of this size',
      detail = format('users %s, objects %s, factors %s, targets %s, events_per_user %s, target_rate %s.',
                      users, objects, factors, targets, events_per_user, target_rate),
      hint = 'Use at least 20 users, 1 to 64 factors, 5 objects for each factor, 1 to 1000 targets, 2 to 10000 events_per_user, and a target_rate from 0.001 to 0.3.';
  END IF;
  IF to_regnamespace(quote_ident(schema)) IS NOT NULL THEN
    RAISE EXCEPTION USING errcode = 'duplicate_schema',
      message = format('schema "%s" already exists', schema),
      hint = format('Choose another name, or type DROP SCHEMA %I CASCADE first.', schema);
  END IF;
  EXECUTE format('CREATE SCHEMA %I', schema);
  PERFORM set_config('search_path', format('%I, pg_temp', schema), true);

  -- Each user mixes factors: a first with share 0.5 to 0.95, a second with most of the
  -- rest, and a trace of all. His activity has a long tail (Pareto, exponent 2).
  CREATE TABLE user_truth (
    user_id bigint PRIMARY KEY, first_factor int NOT NULL, second_factor int NOT NULL,
    share float8 NOT NULL, events int NOT NULL, held_out boolean NOT NULL);
  INSERT INTO user_truth
  SELECT u, f, 1 + (f + floor(behavpred.demo_uniform(seed, 2, u) * (factors - 1))::int) % factors,
         0.5 + 0.45 * behavpred.demo_uniform(seed, 3, u),
         floor(events_per_user * least(10, 0.5 / sqrt(1 - behavpred.demo_uniform(seed, 4, u))))::int,
         behavpred.demo_uniform(seed, 5, u) < 0.5
  FROM (SELECT u, 1 + floor(behavpred.demo_uniform(seed, 1, u) * factors)::int AS f
        FROM generate_series(1, users) AS u) AS drawn;

  -- Age, country and plan tell something of the first factor; newsletter and days nothing.
  CREATE TABLE users (
    user_id bigint PRIMARY KEY, age int, country text, plan text, newsletter boolean, days_since_signup int);
  INSERT INTO users
  SELECT user_id,
         CASE WHEN behavpred.demo_uniform(seed, 6, user_id) > 0.1 THEN
           floor(18 + 40.0 * (first_factor - 1) / factors + 25 * behavpred.demo_uniform(seed, 7, user_id))::int END,
         countries[1 + CASE WHEN behavpred.demo_uniform(seed, 8, user_id) < 0.4 THEN first_factor
                       ELSE floor(6 * behavpred.demo_uniform(seed, 9, user_id))::int END % 6],
         plans[1 + CASE WHEN behavpred.demo_uniform(seed, 10, user_id) < 0.3 THEN first_factor
                   ELSE floor(3 * behavpred.demo_uniform(seed, 11, user_id))::int END % 3],
         behavpred.demo_uniform(seed, 12, user_id) < 0.3,
         floor(1500 * behavpred.demo_uniform(seed, 13, user_id))::int
  FROM user_truth;

  -- Each object belongs to a factor, a quarter of them to a second one as well. Its place
  -- in a factor's list decides how popular it is there.
  CREATE TABLE object_truth (
    object_id bigint NOT NULL, factor int NOT NULL, place int NOT NULL, PRIMARY KEY (factor, place));
  INSERT INTO object_truth
  SELECT o, f, row_number() OVER (PARTITION BY f ORDER BY behavpred.demo_uniform(seed, 14, o * 64 + f))
  FROM generate_series(1, objects) AS o,
       LATERAL (SELECT 1 + (o + i * (1 + floor(behavpred.demo_uniform(seed, 15, o) * (factors - 1))::int))::int % factors
                FROM generate_series(0, CASE WHEN factors > 1 AND behavpred.demo_uniform(seed, 16, o) < 0.25 THEN 1 ELSE 0 END) AS i) AS member(f);

  CREATE TABLE target_truth (target bigint PRIMARY KEY, factor int NOT NULL);
  INSERT INTO target_truth SELECT objects + t, 1 + (t - 1) % factors FROM generate_series(1, targets) AS t;

  CREATE TABLE objects (object_id bigint PRIMARY KEY, category text NOT NULL, price float8 NOT NULL);
  INSERT INTO objects
  SELECT object_id,
         'category ' || CASE WHEN behavpred.demo_uniform(seed, 17, object_id) < 0.6 THEN min(factor)
                        ELSE 1 + floor(factors * behavpred.demo_uniform(seed, 18, object_id))::int END,
         round((5 * exp(3 * behavpred.demo_uniform(seed, 19, object_id)))::numeric, 2)
  FROM object_truth GROUP BY object_id
  UNION ALL SELECT target, 'campaign', 0 FROM target_truth;

  -- Each event is caused by one factor, drawn from the user's mixture, and falls on an
  -- object of that factor (popularity ~ place^-0.8); a quarter are impressions, which
  -- come by chance: their factor is NULL.
  CREATE TABLE event_truth (event_id bigint PRIMARY KEY, user_id bigint NOT NULL, object_id bigint NOT NULL, factor int);
  INSERT INTO event_truth
  WITH drawn AS (
    SELECT row_number() OVER (ORDER BY user_id, i) AS event_id, user_id, first_factor, second_factor, share
    FROM user_truth, generate_series(1, events) AS i
  ), caused AS (
    SELECT event_id, user_id, behavpred.demo_uniform(seed, 20, event_id) < 0.25 AS chance,
           CASE WHEN behavpred.demo_uniform(seed, 20, event_id) < 0.25 THEN 1 + floor(behavpred.demo_uniform(seed, 21, event_id) * factors)::int
                WHEN behavpred.demo_uniform(seed, 22, event_id) < share THEN first_factor
                WHEN behavpred.demo_uniform(seed, 22, event_id) < share + 0.7 * (1 - share) THEN second_factor
                ELSE 1 + floor(behavpred.demo_uniform(seed, 21, event_id) * factors)::int END AS factor
    FROM drawn
  ), length AS (
    SELECT factor, count(*)::float8 AS n FROM object_truth GROUP BY factor
  )
  SELECT event_id, user_id, object_id, CASE WHEN NOT chance THEN factor END
  FROM caused JOIN length USING (factor) JOIN object_truth USING (factor)
  WHERE place = floor(power(1 + behavpred.demo_uniform(seed, 23, event_id) * (power(n + 1, 0.2) - 1), 5))::int;

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
  SELECT target, user_id, probability, behavpred.demo_uniform(seed, 24, target * users + user_id) < probability, held_out
  FROM scaled;

  INSERT INTO event_truth
  SELECT (SELECT max(event_id) FROM event_truth) + row_number() OVER (ORDER BY target, user_id), user_id, target, factor
  FROM target_user_truth JOIN target_truth USING (target)
  WHERE happened AND NOT held_out;

  CREATE TABLE events (
    event_id bigint PRIMARY KEY, user_id bigint NOT NULL, object_id bigint NOT NULL,
    kind text NOT NULL, seconds real NOT NULL, happened_at timestamptz NOT NULL);
  INSERT INTO events
  SELECT event_id, user_id, object_id,
         CASE WHEN factor IS NULL THEN 'impression'
              WHEN object_id > objects OR behavpred.demo_uniform(seed, 25, event_id) < 0.3 THEN 'purchase'
              ELSE 'click' END,
         -ln(1 - behavpred.demo_uniform(seed, 26, event_id)) * CASE WHEN factor IS NULL THEN 3 ELSE 60 END,
         timestamptz '2026-01-01 00:00+00' + interval '90 days' * behavpred.demo_uniform(seed, 27, event_id)
  FROM event_truth ORDER BY event_id;

  CREATE TABLE future (
    user_id bigint NOT NULL, object_id bigint NOT NULL, kind text NOT NULL, happened_at timestamptz NOT NULL,
    PRIMARY KEY (object_id, user_id));
  INSERT INTO future
  SELECT user_id, target, 'purchase',
         timestamptz '2026-04-01 00:00+00' + interval '7 days' * behavpred.demo_uniform(seed, 28, target * users + user_id)
  FROM target_user_truth WHERE happened AND held_out;

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
    EXECUTE format('COMMENT ON TABLE %I IS %L', relation, what);
    EXECUTE format('ANALYZE %I', relation);
    EXECUTE format('SELECT count(*) FROM %I', relation) INTO row_count;
    relation := format('%I.%I', schema, relation);
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION demo_uniform(bigint, int, bigint) IS
  'For demo_data: a number in [0, 1) that depends on seed, stream and item alone';
COMMENT ON FUNCTION demo_data(name, int, int, int, int, int, float8, bigint) IS
  'Make a schema of demonstration data with planted factors, reproducible from the seed: users, objects, events, what held-out users did later (future), and the planted truth';
