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

-- The model of one target: an array of numbers with a header and a checksum.
CREATE TYPE model;

CREATE FUNCTION model_in(cstring) RETURNS model
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION model_out(model) RETURNS cstring
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION model_recv(internal) RETURNS model
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION model_send(model) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE model (
  INPUT = model_in, OUTPUT = model_out, RECEIVE = model_recv, SEND = model_send,
  INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);

CREATE TABLE trained_model (
  target text NOT NULL REFERENCES registered_target ON DELETE CASCADE,
  version int NOT NULL CHECK (version > 0),
  owner name NOT NULL DEFAULT current_user,
  run_id bigint NOT NULL REFERENCES training_run ON DELETE CASCADE,
  trained_at timestamptz NOT NULL DEFAULT now(),
  model model NOT NULL,
  metrics jsonb NOT NULL,
  PRIMARY KEY (target, version)
);

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
RETURNS record AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;

CREATE FUNCTION describe_graph(graph text)
RETURNS TABLE (property text, value text)
AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT;

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
RETURNS record AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;

CREATE FUNCTION evaluate_graph(
  graph text, held_out regclass, k int DEFAULT 20, threads int DEFAULT NULL,
  OUT users bigint, OUT recall float8, OUT ndcg float8,
  OUT precision_at_k float8, OUT hit_rate float8,
  OUT popularity_recall float8, OUT popularity_ndcg float8, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;

CREATE FUNCTION drop_graph(graph text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;

-- ---------------------------------------------------------------------------
-- Targets
-- ---------------------------------------------------------------------------

CREATE FUNCTION create_target(
  target text, graph text, object text DEFAULT NULL, objects text[] DEFAULT NULL,
  seeds regclass DEFAULT NULL, candidates regclass DEFAULT NULL,
  negatives regclass DEFAULT NULL, horizon interval DEFAULT NULL)
RETURNS void AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;

CREATE FUNCTION train_target(
  target text, model text DEFAULT 'logistic', hidden int[] DEFAULT NULL,
  soft_weight float8 DEFAULT 0.5, seed_weights text DEFAULT 'isolation_forest',
  negative_ratio float8 DEFAULT NULL, calibration text DEFAULT 'platt',
  seed bigint DEFAULT NULL, threads int DEFAULT NULL, options jsonb DEFAULT NULL,
  OUT run_id bigint, OUT version int, OUT n_positive bigint, OUT n_negative bigint,
  OUT auc float8, OUT pr_auc float8, OUT log_loss float8, OUT ece float8,
  OUT lift_at_1pct float8, OUT teacher_auc float8, OUT activity_auc float8,
  OUT test_positives bigint, OUT test_basis text, OUT deployed boolean, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;

CREATE FUNCTION drop_target(target text) RETURNS void
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;

-- ---------------------------------------------------------------------------
-- Use
-- ---------------------------------------------------------------------------

CREATE FUNCTION score(model model, embedding real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_score' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION predict(target text, user_id anyelement) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_predict' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION predict(target text, user_id text) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_predict' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION audience(
  target text, size bigint DEFAULT NULL, fraction float8 DEFAULT NULL,
  min_probability float8 DEFAULT NULL, min_lift float8 DEFAULT NULL,
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (rank bigint, user_key text, probability float8, lift float8)
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;

CREATE FUNCTION audience_into(
  target text, destination text, size bigint DEFAULT NULL, fraction float8 DEFAULT NULL,
  min_probability float8 DEFAULT NULL, min_lift float8 DEFAULT NULL,
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;

CREATE FUNCTION recommend(graph text, user_id anyelement, k int DEFAULT 10, exclude_seen boolean DEFAULT true)
RETURNS TABLE (rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend' LANGUAGE C STABLE STRICT;
CREATE FUNCTION recommend(graph text, user_id text, k int DEFAULT 10, exclude_seen boolean DEFAULT true)
RETURNS TABLE (rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend' LANGUAGE C STABLE STRICT;

CREATE FUNCTION embedding(graph text, user_id anyelement) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION embedding(graph text, user_id text) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION object_embedding(graph text, object_id anyelement) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_object_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION object_embedding(graph text, object_id text) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_object_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE FUNCTION dot(a real[], b real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_dot' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION cosine(a real[], b real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_cosine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION version() RETURNS text
AS 'MODULE_PATHNAME', 'behavpred_version' LANGUAGE C IMMUTABLE PARALLEL SAFE;
