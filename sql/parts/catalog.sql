-- behavpred: behaviour prediction and audience expansion inside the database.
-- What users call and see lives in schema behavpred, which CREATE EXTENSION makes, the rest in behavpred_internal.

\echo Use "CREATE EXTENSION behavpred" to load this file. \quit

-- What the extension calls itself: parts of its functions, views, policies and types. Everyone may call them, because
-- each acts with the privileges of its caller, and whoever calls report_html() calls its parts.
CREATE SCHEMA behavpred_internal;
COMMENT ON SCHEMA behavpred_internal IS 'Parts of behavpred that are not meant to be called: no promises from one version to the next';
GRANT USAGE ON SCHEMA behavpred_internal TO PUBLIC;

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
COMMENT ON SEQUENCE training_run_run_id_seq IS 'Numbers of runs';
COMMENT ON TABLE training_epoch IS 'What each epoch of a training of a graph reached';
COMMENT ON TABLE registered_target IS 'Targets: one behaviour to predict for one object or several';

-- The model of one target: an array of numbers with a header and a checksum.
CREATE TYPE model;

CREATE FUNCTION behavpred_internal.model_in(cstring) RETURNS model
  AS 'MODULE_PATHNAME', 'behavpred_model_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.model_out(model) RETURNS cstring
  AS 'MODULE_PATHNAME', 'behavpred_model_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.model_recv(internal) RETURNS model
  AS 'MODULE_PATHNAME', 'behavpred_model_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.model_send(model) RETURNS bytea
  AS 'MODULE_PATHNAME', 'behavpred_model_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE model (
  INPUT = behavpred_internal.model_in, OUTPUT = behavpred_internal.model_out, RECEIVE = behavpred_internal.model_recv, SEND = behavpred_internal.model_send,
  INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);

COMMENT ON TYPE model IS 'A trained model of a target: numbers with a header and a checksum, made by train_target()';
COMMENT ON FUNCTION behavpred_internal.model_in(cstring) IS 'Input of type model';
COMMENT ON FUNCTION behavpred_internal.model_out(model) IS 'Output of type model';
COMMENT ON FUNCTION behavpred_internal.model_recv(internal) IS 'Binary input of type model';
COMMENT ON FUNCTION behavpred_internal.model_send(model) IS 'Binary output of type model';

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

