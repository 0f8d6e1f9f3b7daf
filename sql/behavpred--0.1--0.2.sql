-- Upgrade from 0.1 to 0.2, in the order of the install script: what is new, and what has changed.

\echo Use "ALTER EXTENSION behavpred UPDATE TO '0.2'" to load this file. \quit

-- What the extension calls itself: parts of its functions, views, policies and types. Everyone may call them, because
-- each acts with the privileges of its caller, and whoever calls report_html() calls its parts.
CREATE SCHEMA behavpred_internal;
COMMENT ON SCHEMA behavpred_internal IS 'Parts of behavpred that are not meant to be called: no promises from one version to the next';
GRANT USAGE ON SCHEMA behavpred_internal TO PUBLIC;

COMMENT ON SEQUENCE training_run_run_id_seq IS 'Numbers of runs';

-- An integer is not a text to SQL, but most keys are integers.
CREATE FUNCTION create_target(
  target text, graph text, object anyelement, objects text[] DEFAULT NULL,
  seeds regclass DEFAULT NULL, candidates regclass DEFAULT NULL,
  negatives regclass DEFAULT NULL, horizon interval DEFAULT NULL)
RETURNS void LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT behavpred.create_target(target, graph, object::text, objects, seeds, candidates, negatives, horizon) $$;

COMMENT ON FUNCTION create_target(text, text, anyelement, text[], regclass, regclass, regclass, interval) IS 'The same, the object''s key in its own type';

REVOKE EXECUTE ON FUNCTION create_target(text, text, anyelement, text[], regclass, regclass, regclass, interval) FROM PUBLIC;

ALTER FUNCTION drop_graph(text) CALLED ON NULL INPUT;
ALTER FUNCTION drop_target(text) CALLED ON NULL INPUT;
ALTER FUNCTION model_in(cstring) SET SCHEMA behavpred_internal;
ALTER FUNCTION model_out(model) SET SCHEMA behavpred_internal;
ALTER FUNCTION model_recv(internal) SET SCHEMA behavpred_internal;
ALTER FUNCTION model_send(model) SET SCHEMA behavpred_internal;
ALTER FUNCTION sees_rows_of(name) SET SCHEMA behavpred_internal;
ALTER FUNCTION demo_uniform(bigint, int, bigint) SET SCHEMA behavpred_internal;

-- ---------------------------------------------------------------------------
-- What owners let other roles do. A grant takes effect only as far as its owner is that
-- of the graph, so a row that somebody writes for a graph of another gives nothing.
-- ---------------------------------------------------------------------------

CREATE TABLE granted_privilege (
  graph text NOT NULL REFERENCES registered_graph ON DELETE CASCADE,
  target text REFERENCES registered_target ON DELETE CASCADE,
  privilege text NOT NULL CHECK (privilege IN ('predict', 'read', 'train')),
  grantee name NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  embeddings boolean NOT NULL,
  granted_at timestamptz NOT NULL DEFAULT now()
);

-- The owner is part of it: nobody can be in the way of another's grants.
CREATE UNIQUE INDEX granted_privilege_key
  ON granted_privilege (graph, coalesce(target, ''), privilege, grantee, owner);

COMMENT ON TABLE granted_privilege IS
'What owners let other roles do with a graph and all its targets (target is NULL) or with one target, by grant_on()';

COMMENT ON INDEX granted_privilege_key IS 'Each privilege is granted once';

GRANT SELECT, INSERT, UPDATE, DELETE ON granted_privilege TO PUBLIC;

ALTER TABLE granted_privilege ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON granted_privilege USING (owner = current_user);

CREATE POLICY granted_rows ON granted_privilege FOR SELECT
  USING (grantee = 'public'
         OR EXISTS (SELECT FROM pg_catalog.pg_roles r
                    WHERE r.rolname = grantee AND pg_catalog.pg_has_role(r.oid, 'USAGE')));

COMMENT ON POLICY own_rows ON granted_privilege IS 'Every role sees and changes what it has granted';

COMMENT ON POLICY granted_rows ON granted_privilege IS 'Every role sees what it has been granted, by membership as well';

SELECT pg_extension_config_dump('granted_privilege', '');

-- 0 nothing, 1 predict, 2 read, 3 train: each includes those before it. These are called
-- for each row of another role.
CREATE FUNCTION behavpred_internal.privilege_on(owner name, graph text, target text) RETURNS int
AS 'MODULE_PATHNAME', 'behavpred_privilege_on' LANGUAGE C STABLE PARALLEL SAFE;

COMMENT ON FUNCTION behavpred_internal.privilege_on(name, text, text) IS
'For policies and views: what the current role has been granted on a target of a graph, or on the graph itself when target is NULL: 0 nothing, 1 predict, 2 read, 3 train. Owners need no grant';

CREATE FUNCTION behavpred_internal.privilege_near(owner name, graph text) RETURNS int
AS 'MODULE_PATHNAME', 'behavpred_privilege_near' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION behavpred_internal.privilege_near(name, text) IS
'For policies: the most that the current role has been granted on a graph or any of its targets, as privilege_on() counts';

CREATE FUNCTION behavpred_internal.privilege_on_target(owner name, target text) RETURNS int
AS 'MODULE_PATHNAME', 'behavpred_privilege_on_target' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION behavpred_internal.privilege_on_target(name, text) IS
'For policies: privilege_on() of a target whose graph is not at hand';

-- Whoever may predict has to see the definitions and the model that he predicts with;
-- runs and their quality are for readers. The runs of a graph are for those of one of its
-- targets as well: they tell which vectors a model fits, and which edges a run has not seen.
CREATE POLICY granted_rows ON registered_graph FOR SELECT USING (behavpred_internal.privilege_near(owner, graph) >= 1);

CREATE POLICY granted_rows ON registered_target FOR SELECT USING (behavpred_internal.privilege_on(owner, graph, target) >= 1);

CREATE POLICY granted_rows ON trained_model FOR SELECT USING (behavpred_internal.privilege_on_target(owner, target) >= 1);

CREATE POLICY granted_rows ON training_run FOR SELECT
  USING (behavpred_internal.privilege_on(owner, graph, target) >= 2 OR target IS NULL AND behavpred_internal.privilege_near(owner, graph) >= 2);

CREATE POLICY granted_rows ON training_epoch FOR SELECT
  USING (EXISTS (SELECT FROM training_run r WHERE r.run_id = training_epoch.run_id AND r.owner = training_epoch.owner));

COMMENT ON POLICY granted_rows ON registered_graph IS 'Graphs of others that the role may use';

COMMENT ON POLICY granted_rows ON registered_target IS 'Targets of others that the role may use';

COMMENT ON POLICY granted_rows ON trained_model IS 'Models of others that the role may use';

COMMENT ON POLICY granted_rows ON training_run IS 'Runs of others that the role may read';

COMMENT ON POLICY granted_rows ON training_epoch IS 'Epochs of the runs that the role may read';

-- What a training by another role writes belongs to the owner all the same.
CREATE POLICY granted_training ON registered_graph FOR UPDATE USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);

CREATE POLICY granted_training ON registered_target FOR UPDATE USING (behavpred_internal.privilege_on(owner, graph, target) >= 3);

CREATE POLICY granted_training ON training_run FOR INSERT
  WITH CHECK (behavpred_internal.privilege_on(owner, graph, target) >= 3);

CREATE POLICY granted_training_end ON training_run FOR UPDATE USING (behavpred_internal.privilege_on(owner, graph, target) >= 3);

CREATE POLICY granted_training ON training_epoch FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM training_run r
                      WHERE r.run_id = training_epoch.run_id AND r.owner = training_epoch.owner
                        AND behavpred_internal.privilege_on(r.owner, r.graph, r.target) >= 3));

CREATE POLICY granted_training ON trained_model FOR INSERT
  WITH CHECK (behavpred_internal.privilege_on_target(owner, target) >= 3);

COMMENT ON POLICY granted_training ON registered_graph IS 'Trainers put down the last run; keep_definition guards the rest';

COMMENT ON POLICY granted_training ON registered_target IS 'Trainers put down the deployed version; keep_definition guards the rest';

COMMENT ON POLICY granted_training ON training_run IS 'Trainers write runs for the owner';

COMMENT ON POLICY granted_training_end ON training_run IS 'Trainers bring the runs they began to an end';

COMMENT ON POLICY granted_training ON training_epoch IS 'Trainers write epochs for the owner';

COMMENT ON POLICY granted_training ON trained_model IS 'Trainers write models for the owner';

-- Nothing is hung onto a graph or target of another role, where it could only be in the way.
CREATE POLICY of_same_owner ON registered_target AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_graph g
                      WHERE g.graph = registered_target.graph AND g.owner = registered_target.owner));

CREATE POLICY of_same_owner ON training_run AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_graph g
                      WHERE g.graph = training_run.graph AND g.owner = training_run.owner));

CREATE POLICY of_same_owner ON trained_model AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_target t
                      WHERE t.target = trained_model.target AND t.owner = trained_model.owner));

COMMENT ON POLICY of_same_owner ON registered_target IS 'Targets are of the owner of their graph';

COMMENT ON POLICY of_same_owner ON training_run IS 'Runs are of the owner of their graph';

COMMENT ON POLICY of_same_owner ON trained_model IS 'Models are of the owner of their target';

-- A trainer who could change where a graph is read from would have its owner, and whoever
-- trains after him, run what he has put there.
CREATE FUNCTION behavpred_internal.keep_definition() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT behavpred_internal.sees_rows_of(OLD.owner)
     AND to_jsonb(NEW) - '{trained_run,deployed_version}'::text[]
         <> to_jsonb(OLD) - '{trained_run,deployed_version}'::text[] THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('only role "%s" may change the definition in %s', OLD.owner, TG_TABLE_NAME),
      detail = 'The privilege train covers the last run and the deployed version.',
      hint = format('SET ROLE %I;', OLD.owner);
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION behavpred_internal.keep_definition() IS 'For triggers: the privilege train does not cover definitions';

CREATE TRIGGER keep_definition BEFORE UPDATE ON registered_graph
  FOR EACH ROW EXECUTE FUNCTION behavpred_internal.keep_definition();

CREATE TRIGGER keep_definition BEFORE UPDATE ON registered_target
  FOR EACH ROW EXECUTE FUNCTION behavpred_internal.keep_definition();

COMMENT ON TRIGGER keep_definition ON registered_graph IS 'The privilege train does not cover definitions';

COMMENT ON TRIGGER keep_definition ON registered_target IS 'The privilege train does not cover definitions';

COMMENT ON FUNCTION train_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb) IS
'Train the graph network and write the embeddings of users and objects to two ordinary tables, <graph>_user_embedding and <graph>_object_embedding; a later training replaces their rows. NULL means the default, which may depend on the size of the graph.
dimension: numbers in a vector, 1 to 1024, a multiple of factors. factors: feature subspaces, 1 to 32. layers: 1 to 8. routing_iterations: 1 to 8.
epochs: at most, 0 to 10000, default 8 to 100 (more for a small graph). batch_size: positive edges for each step, 1 to 1048576, default a 50th of all but at least 256. learning_rate: of Adam, 1e-6 to 10, default 0.03. negatives: objects drawn for each chunk of positives, 1 to 65536, default 4096. temperature: of the loss, 0.02 to 10, default found by two to five short trainings with a fifth of the edges held out; give it to save their time. patience: epochs without a better validation NDCG before it stops, 0 = never, default a fifth of epochs within 4 to 20. Users are shielded from part of their edges to the objects of targets that exist when the graph is trained, so create targets first (option target_fraction, default 0.5). validation_fraction: of the edges, held out for early stopping and calibration, 0 to 0.5, default what holds out 10000 edges, within 0.01 to 0.1.
seed: default behavpred.seed. threads: default behavpred.threads; does not change the result.
options: rare ones as JSON: hide_positives (true: the edges a step learns from take no part in its propagation), routing (claim, disengcn, off), routing_temperature, attention (symmetric, additive, off), attention_width, neighbour_scale, keep_lengths, mapping (automatic, identity, linear), layer_mean, full_gradient, id_embeddings, loss (softmax, logistic), spectral_start, initial_bias, target_fraction, weight_decay, sampled_neighbours (0: a step propagates over the whole graph; above 0: over so many neighbours of each node around its batch, for graphs that do not fit into behavpred.max_memory), epoch_steps (0: an epoch takes all edges; above 0: so many steps at most), keep_network (true: the parameters are kept for later trainings and for new nodes, one more vector for each node), warm_start (false; true: begin with the kept network, a third of the epochs, 0.15 times the learning rate, the same temperature; new nodes start at the mean of their neighbours; models of targets stay usable while vectors stay near, see vector_cosine in the view models); also any of epochs to validation_fraction, which the argument of the same name overrides.
Result: the run (see the views runs and training_log), epochs run, the epoch that was kept and its loss and quality on held-out edges, the tables, seconds in all.';

COMMENT ON FUNCTION train_target(text, text, int[], float8, text, float8, text, bigint, int, jsonb) IS
  'Trains the next version of a target''s model (logistic or mlp) on sampled users: hard labels, soft labels of the graph network (soft_weight 0 to 1), seeds weighted by how sparse their surroundings are (seed_weights isolation_forest or none). Quality is measured on users that trained nothing: test_basis unseen = their interaction with the object was held out of the graph''s training, too; in_graph = it was not, so that the figures are optimistic. options: soft_temperature, ridge, anchored (default true: hard labels correct the teacher instead of starting from nothing; logistic only), iterations, epochs, batch_size, learning_rate, seed_weight_scale (raw, mean1, spread), deploy (if_better, always, never)';

COMMENT ON FUNCTION embedding(text, anyelement) IS
  'A user''s stored vector: the unit vector divided by the root of the temperature, then 1, then the activity. NULL for a user the graph does not know';

COMMENT ON FUNCTION object_embedding(text, anyelement) IS
  'An object''s stored vector, the last two numbers its bias and 1; dot(embedding, object_embedding) is the score. NULL for an object the graph does not know';

-- ---------------------------------------------------------------------------
-- Metrics: aggregates over labels and scores of any table. Their states pass
-- between the processes of a parallel plan and between servers.
-- ---------------------------------------------------------------------------
CREATE TYPE behavpred_internal.metric_state;

CREATE FUNCTION behavpred_internal.metric_state_in(cstring) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_state_out(behavpred_internal.metric_state) RETURNS cstring
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_state_recv(internal) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_state_send(behavpred_internal.metric_state) RETURNS bytea
  AS 'MODULE_PATHNAME', 'behavpred_metric_state_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE behavpred_internal.metric_state (
  INPUT = behavpred_internal.metric_state_in, OUTPUT = behavpred_internal.metric_state_out, RECEIVE = behavpred_internal.metric_state_recv, SEND = behavpred_internal.metric_state_send,
  INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended
);

COMMENT ON TYPE behavpred_internal.metric_state IS 'What a metric has seen so far: all scores of both classes';

COMMENT ON FUNCTION behavpred_internal.metric_state_in(cstring) IS 'Input of type metric_state';

COMMENT ON FUNCTION behavpred_internal.metric_state_out(behavpred_internal.metric_state) IS 'Output of type metric_state';

COMMENT ON FUNCTION behavpred_internal.metric_state_recv(internal) IS 'Binary input of type metric_state';

COMMENT ON FUNCTION behavpred_internal.metric_state_send(behavpred_internal.metric_state) IS 'Binary output of type metric_state';

-- What adds a row: the label is boolean, or integer 0 and 1.
CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_ranked' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_probability' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_shift' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8, integer) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_add_shift' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_log_loss(float8[], boolean, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_log_loss' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_log_loss(float8[], integer, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_log_loss' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_brier(float8[], boolean, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_brier' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_add_brier(float8[], integer, float8) RETURNS float8[]
  AS 'MODULE_PATHNAME', 'behavpred_add_brier' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_combine(behavpred_internal.metric_state, behavpred_internal.metric_state) RETURNS behavpred_internal.metric_state
  AS 'MODULE_PATHNAME', 'behavpred_metric_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_auc(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_auc' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_pr_auc(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_pr_auc' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_ece(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_ece' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_lift_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_lift_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_precision_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_precision_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_recall_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_recall_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_ndcg_at(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_ndcg_at' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE FUNCTION behavpred_internal.metric_psi(behavpred_internal.metric_state) RETURNS float8
  AS 'MODULE_PATHNAME', 'behavpred_psi' LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, integer) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, boolean, float8, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, integer) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_ranked(behavpred_internal.metric_state, integer, float8, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, boolean, float8, integer) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_probability(behavpred_internal.metric_state, integer, float8, integer) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_shift(behavpred_internal.metric_state, float8, float8, integer) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_log_loss(float8[], boolean, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_log_loss(float8[], integer, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_brier(float8[], boolean, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_add_brier(float8[], integer, float8) IS 'For the metrics: adds a row';

COMMENT ON FUNCTION behavpred_internal.metric_combine(behavpred_internal.metric_state, behavpred_internal.metric_state) IS 'For the metrics: joins two states';

COMMENT ON FUNCTION behavpred_internal.metric_auc(behavpred_internal.metric_state) IS 'For the metrics: the result';

COMMENT ON FUNCTION behavpred_internal.metric_pr_auc(behavpred_internal.metric_state) IS 'For the metrics: the result';

COMMENT ON FUNCTION behavpred_internal.metric_ece(behavpred_internal.metric_state) IS 'For the metrics: the result';

COMMENT ON FUNCTION behavpred_internal.metric_lift_at(behavpred_internal.metric_state) IS 'For the metrics: the result';

COMMENT ON FUNCTION behavpred_internal.metric_precision_at(behavpred_internal.metric_state) IS 'For the metrics: the result';

COMMENT ON FUNCTION behavpred_internal.metric_recall_at(behavpred_internal.metric_state) IS 'For the metrics: the result';

COMMENT ON FUNCTION behavpred_internal.metric_ndcg_at(behavpred_internal.metric_state) IS 'For the metrics: the result';

COMMENT ON FUNCTION behavpred_internal.metric_psi(behavpred_internal.metric_state) IS 'For the metrics: the result';

CREATE AGGREGATE auc(label boolean, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_auc, PARALLEL = SAFE
);

CREATE AGGREGATE auc(label integer, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_auc, PARALLEL = SAFE
);

CREATE AGGREGATE pr_auc(label boolean, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_pr_auc, PARALLEL = SAFE
);

CREATE AGGREGATE pr_auc(label integer, score float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_pr_auc, PARALLEL = SAFE
);

CREATE AGGREGATE ece(label boolean, probability float8) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);

CREATE AGGREGATE ece(label integer, probability float8) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);

CREATE AGGREGATE ece(label boolean, probability float8, bins integer) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);

CREATE AGGREGATE ece(label integer, probability float8, bins integer) (
  SFUNC = behavpred_internal.metric_add_probability, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ece, PARALLEL = SAFE
);

CREATE AGGREGATE lift_at(label boolean, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);

CREATE AGGREGATE lift_at(label integer, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);

CREATE AGGREGATE lift_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);

CREATE AGGREGATE lift_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_lift_at, PARALLEL = SAFE
);

CREATE AGGREGATE precision_at(label boolean, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);

CREATE AGGREGATE precision_at(label integer, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);

CREATE AGGREGATE precision_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);

CREATE AGGREGATE precision_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_precision_at, PARALLEL = SAFE
);

CREATE AGGREGATE recall_at(label boolean, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);

CREATE AGGREGATE recall_at(label integer, score float8, fraction float8) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);

CREATE AGGREGATE recall_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);

CREATE AGGREGATE recall_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_recall_at, PARALLEL = SAFE
);

CREATE AGGREGATE ndcg_at(label boolean, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ndcg_at, PARALLEL = SAFE
);

CREATE AGGREGATE ndcg_at(label integer, score float8, k integer) (
  SFUNC = behavpred_internal.metric_add_ranked, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_ndcg_at, PARALLEL = SAFE
);

CREATE AGGREGATE psi(expected float8, actual float8) (
  SFUNC = behavpred_internal.metric_add_shift, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_psi, PARALLEL = SAFE
);

CREATE AGGREGATE psi(expected float8, actual float8, bins integer) (
  SFUNC = behavpred_internal.metric_add_shift, STYPE = behavpred_internal.metric_state, COMBINEFUNC = behavpred_internal.metric_combine,
  FINALFUNC = behavpred_internal.metric_psi, PARALLEL = SAFE
);

CREATE AGGREGATE log_loss(label boolean, probability float8) (
  SFUNC = behavpred_internal.metric_add_log_loss, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);

CREATE AGGREGATE log_loss(label integer, probability float8) (
  SFUNC = behavpred_internal.metric_add_log_loss, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);

CREATE AGGREGATE brier(label boolean, probability float8) (
  SFUNC = behavpred_internal.metric_add_brier, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);

CREATE AGGREGATE brier(label integer, probability float8) (
  SFUNC = behavpred_internal.metric_add_brier, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = pg_catalog.float8_combine, FINALFUNC = pg_catalog.float8_avg, PARALLEL = SAFE
);

COMMENT ON AGGREGATE auc(boolean, float8) IS
  'Area under the ROC curve: how often a positive has the higher score, a tie counting half; 0.5 is chance, 1 is perfect. NULL unless both classes occur. Rows with a NULL label or score are left out; a score that is NaN is an error';

COMMENT ON AGGREGATE auc(integer, float8) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE pr_auc(boolean, float8) IS
  'Average precision: the area under the precision-recall curve, as a sum over distinct scores; chance is the rate of positives. NULL without a positive';

COMMENT ON AGGREGATE pr_auc(integer, float8) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE ece(boolean, float8) IS
  'Expected calibration error: mean over bins of equal count, by rising probability, of |mean probability - rate of positives|. bins: 1 to 100000, default 10';

COMMENT ON AGGREGATE ece(integer, float8) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE ece(boolean, float8, integer) IS
  'Expected calibration error: mean over bins of equal count, by rising probability, of |mean probability - rate of positives|. bins: 1 to 100000, default 10';

COMMENT ON AGGREGATE ece(integer, float8, integer) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE lift_at(boolean, float8, float8) IS
  'Rate of positives among the best by score, over the rate in all; fraction (above 0, at most 1) of the rows, or the best k rows. A tie at the border is taken in proportion. NULL without a positive';

COMMENT ON AGGREGATE lift_at(integer, float8, float8) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE lift_at(boolean, float8, integer) IS
  'Rate of positives among the best by score, over the rate in all; fraction (above 0, at most 1) of the rows, or the best k rows. A tie at the border is taken in proportion. NULL without a positive';

COMMENT ON AGGREGATE lift_at(integer, float8, integer) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE precision_at(boolean, float8, float8) IS
  'Rate of positives among the best fraction (above 0, at most 1), or the best k rows (all when there are fewer), by score. A tie at the border is taken in proportion';

COMMENT ON AGGREGATE precision_at(integer, float8, float8) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE precision_at(boolean, float8, integer) IS
  'Rate of positives among the best fraction (above 0, at most 1), or the best k rows (all when there are fewer), by score. A tie at the border is taken in proportion';

COMMENT ON AGGREGATE precision_at(integer, float8, integer) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE recall_at(boolean, float8, float8) IS
  'Share of all positives that stand among the best fraction (above 0, at most 1), or the best k rows, by score. A tie at the border is taken in proportion. NULL without a positive';

COMMENT ON AGGREGATE recall_at(integer, float8, float8) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE recall_at(boolean, float8, integer) IS
  'Share of all positives that stand among the best fraction (above 0, at most 1), or the best k rows, by score. A tie at the border is taken in proportion. NULL without a positive';

COMMENT ON AGGREGATE recall_at(integer, float8, integer) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE ndcg_at(boolean, float8, integer) IS
  'Normalised discounted cumulative gain of the best k rows by score, gains 0 or 1, 0 to 1; rows with equal scores share their places. For rankings of users: GROUP BY user, then avg(). NULL without a positive';

COMMENT ON AGGREGATE ndcg_at(integer, float8, integer) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE psi(float8, float8) IS
  'Population stability index: how far the distribution of actual has moved from that of expected, over bins (1 to 100000, default 10) of equal share cut from expected; below 0.1 is little, above 0.25 much. Each value that is not NULL joins its sample, so the two may come from different rows. NULL when a sample is empty';

COMMENT ON AGGREGATE psi(float8, float8, integer) IS
  'Population stability index: how far the distribution of actual has moved from that of expected, over bins (1 to 100000, default 10) of equal share cut from expected; below 0.1 is little, above 0.25 much. Each value that is not NULL joins its sample, so the two may come from different rows. NULL when a sample is empty';

COMMENT ON AGGREGATE log_loss(boolean, float8) IS
  'Mean of -ln(probability of what happened), probabilities kept within 1e-15 of 0 and 1; smaller is better';

COMMENT ON AGGREGATE log_loss(integer, float8) IS
  'The same, labels 0 and 1';

COMMENT ON AGGREGATE brier(boolean, float8) IS
  'Mean squared difference of probability and what happened, 0 to 1; smaller is better';

COMMENT ON AGGREGATE brier(integer, float8) IS
  'The same, labels 0 and 1';

-- ---------------------------------------------------------------------------
-- Evaluation: the scores of each model's test part, and what they tell
-- ---------------------------------------------------------------------------
CREATE TABLE held_out_score (
  target text NOT NULL,
  version int NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  positives int NOT NULL,
  logits float8[] NOT NULL,
  interactions int[] NOT NULL,
  positive_weight float8 NOT NULL,
  negative_weight float8 NOT NULL,
  PRIMARY KEY (target, version),
  FOREIGN KEY (target, version) REFERENCES trained_model ON DELETE CASCADE
);

COMMENT ON TABLE held_out_score IS 'Test part of each model: logits and numbers of interactions, positives first, without keys; how many candidates a positive and a negative stand for';

GRANT SELECT, INSERT, UPDATE, DELETE ON held_out_score TO PUBLIC;

ALTER TABLE held_out_score ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON held_out_score USING (owner = current_user);

CREATE POLICY granted_rows ON held_out_score FOR SELECT USING (behavpred_internal.privilege_on_target(owner, target) >= 2);

CREATE POLICY granted_training ON held_out_score FOR INSERT
  WITH CHECK (behavpred_internal.privilege_on_target(owner, target) >= 3);

CREATE POLICY of_same_owner ON held_out_score AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_target t
                      WHERE t.target = held_out_score.target AND t.owner = held_out_score.owner));

COMMENT ON POLICY own_rows ON held_out_score IS 'Every role sees and changes its own models';

COMMENT ON POLICY granted_rows ON held_out_score IS 'Test parts of others that the role may read';

COMMENT ON POLICY granted_training ON held_out_score IS 'Trainers write test parts for the owner';

COMMENT ON POLICY of_same_owner ON held_out_score IS 'Test parts are of the owner of their target';

SELECT pg_extension_config_dump('held_out_score', '');

CREATE FUNCTION evaluate(
  target text, labels regclass DEFAULT NULL, label_column name DEFAULT 'label',
  fractions float8[] DEFAULT '{0.01,0.05,0.1}', version int DEFAULT NULL,
  seed bigint DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (metric text, at float8, value float8, low float8, high float8, n bigint, positives bigint,
               popularity float8, prior float8, basis text)
AS 'MODULE_PATHNAME', 'behavpred_evaluate' LANGUAGE C STABLE;

COMMENT ON FUNCTION evaluate(text, regclass, name, float8[], int, bigint, int) IS
  'Quality of a target''s model on users it was not trained on: auc, pr_auc, log_loss, brier, ece, and for each of fractions (above 0, at most 1) the lift of the best by probability and the gain, their share of all positives. Users: the test part of the deployed version''s training, or of another version, weighted to the candidates (basis unseen or in_graph, as train_target() says); or those of labels, a relation with the graph''s user column and a label (boolean, or 0 and 1), at most 1,000,000. low and high: 95 % interval, given the size of both classes: DeLong for auc, variance of the mean for log_loss and brier, seeded bootstrap of 200 draws for the others. popularity: the same of users ranked by their number of interactions; prior: of the base rate as everybody''s probability. NULL: the data cannot tell';

CREATE FUNCTION roc_curve(target text, points int DEFAULT 100, version int DEFAULT NULL)
RETURNS TABLE (threshold float8, fraction float8, false_positive_rate float8, true_positive_rate float8)
AS 'MODULE_PATHNAME', 'behavpred_roc_curve' LANGUAGE C STABLE;

COMMENT ON FUNCTION roc_curve(text, int, int) IS
  'ROC curve of a target''s model on the test part of its training: taking users from a probability (threshold) on takes this fraction of the candidates, and these rates of the negatives and positives. points: about how many, 1 to 100000; version: default the deployed one';

CREATE FUNCTION calibration_curve(target text, bins int DEFAULT 10, version int DEFAULT NULL)
RETURNS TABLE (bin int, n bigint, positives bigint, probability float8, rate float8, low float8, high float8)
AS 'MODULE_PATHNAME', 'behavpred_calibration_curve' LANGUAGE C STABLE;

COMMENT ON FUNCTION calibration_curve(text, int, int) IS
  'Reliability curve of a target''s model on the test part of its training, by rising probability: users and positives in each bin, their mean probability and rate of positives among the candidates, with its 95 % interval. bins of equal weight, 1 to 100000; version: default the deployed one';

CREATE FUNCTION audience_curve(
  target text, fractions float8[] DEFAULT '{0.001,0.002,0.005,0.01,0.02,0.05,0.1,0.2,0.5,1}',
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (size bigint, fraction float8, threshold float8, expected_positives float8, positives_low float8,
               positives_high float8, "precision" float8, recall float8, lift float8, lift_low float8, lift_high float8)
AS 'MODULE_PATHNAME', 'behavpred_audience_curve' LANGUAGE C STABLE;

COMMENT ON FUNCTION audience_curve(text, float8[], boolean, regclass, int) IS
  'What audiences of each size would bring, the best of fractions (above 0, at most 1) of those that audience() chooses from: probability of the last user (threshold); expected positives, the sum of the probabilities, and their 95 % interval by how many positives the test part of the training had for each that was expected; precision = expected positives over size; recall = over all expected; lift = precision over the base rate';

-- ---------------------------------------------------------------------------
-- Explanation
-- ---------------------------------------------------------------------------
CREATE FUNCTION explain(target text, user_id anyelement, interactions int DEFAULT 20)
RETURNS TABLE (kind text, name text, contribution float8, by_factor float8[])
AS 'MODULE_PATHNAME', 'behavpred_explain' LANGUAGE C STABLE STRICT;

CREATE FUNCTION explain(target text, user_id text, interactions int DEFAULT 20)
RETURNS TABLE (kind text, name text, contribution float8, by_factor float8[])
AS 'MODULE_PATHNAME', 'behavpred_explain' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION explain(text, anyelement, int) IS
  'What the log odds of predict() are made of. The rows base (a user without direction and activity), factor (of the graph network, by number), activity, calibration and remainder (rounding) add up to ln(p / (1 - p)). The rows interaction (the user''s objects with the largest parts, name is the key) and other_interactions (the rest, name is how many) share out the factors'' parts, and add up to them: in each factor in proportion to the probability that it was the reason for the interaction; by_factor is the part in each. interactions: how many, 0 reads none. No rows for a user the graph does not know';

COMMENT ON FUNCTION explain(text, text, int) IS 'The same, the user''s key as text';

-- ---------------------------------------------------------------------------
-- Neighbours: what is alike, and recommendations for everybody
-- ---------------------------------------------------------------------------
CREATE FUNCTION similar_users(graph text, user_id anyelement, k int DEFAULT 10)
RETURNS TABLE (rank int, user_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_users' LANGUAGE C STABLE STRICT;

CREATE FUNCTION similar_users(graph text, user_id text, k int DEFAULT 10)
RETURNS TABLE (rank int, user_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_users' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION similar_users(text, anyelement, int) IS
  'The k users (1 to 100000) whose vectors point most nearly the same way, exactly: similarity is the cosine, -1 to 1, without the numbers for activity; ties by key. No rows for a user the graph does not know';

COMMENT ON FUNCTION similar_users(text, text, int) IS 'The same, the user''s key as text';

CREATE FUNCTION similar_objects(graph text, object_id anyelement, k int DEFAULT 10)
RETURNS TABLE (rank int, object_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_objects' LANGUAGE C STABLE STRICT;

CREATE FUNCTION similar_objects(graph text, object_id text, k int DEFAULT 10)
RETURNS TABLE (rank int, object_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_objects' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION similar_objects(text, anyelement, int) IS
  'The k objects (1 to 100000) whose vectors point most nearly the same way, exactly: similarity is the cosine, -1 to 1, without the bias; ties by key. No rows for an object the graph does not know';

COMMENT ON FUNCTION similar_objects(text, text, int) IS 'The same, the object''s key as text';

CREATE FUNCTION recommend_all(
  graph text, k int DEFAULT 10, exclude_seen boolean DEFAULT true, users regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (user_key text, rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend_all' LANGUAGE C STABLE;

COMMENT ON FUNCTION recommend_all(text, int, boolean, regclass, int) IS
  'recommend() for all users of the graph, or those of a relation, users: the k objects (1 to 1000) with the highest score for each, by user key and rank; exclude_seen leaves out those he has interacted with. threads: default behavpred.threads; does not change the result';

REVOKE EXECUTE ON FUNCTION recommend_all(text, int, boolean, regclass, int) FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- The trained network: what a later training starts from, and what computes the vector of a
-- node that no training has seen
-- ---------------------------------------------------------------------------

CREATE TABLE trained_network (
  graph text PRIMARY KEY REFERENCES registered_graph ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  run_id bigint NOT NULL,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seed bigint NOT NULL,
  options jsonb NOT NULL,
  user_features text[],
  object_features text[],
  user_scales float8[],
  object_scales float8[],
  bytes bigint NOT NULL DEFAULT 0
);

CREATE TABLE trained_network_part (
  graph text NOT NULL REFERENCES trained_network ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('shared', 'users', 'objects')),
  part int NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  data bytea NOT NULL,
  PRIMARY KEY (graph, kind, part)
);

-- Numbers of a network do not compress.
ALTER TABLE trained_network_part ALTER COLUMN data SET STORAGE EXTERNAL;

COMMENT ON TABLE trained_network IS 'Whose parameters are kept: the run that made them, its seed and options, and the columns of features they are for, with four numbers of each: what is taken off a value, what it is multiplied by, what stands for a missing one, and the column that says so';
COMMENT ON TABLE trained_network_part IS
'The parameters of a graph''s network after its last training, in blocks with a checksum: numbers that all nodes share, and users and objects by key';

GRANT SELECT, INSERT, UPDATE, DELETE ON trained_network, trained_network_part TO PUBLIC;
ALTER TABLE trained_network ENABLE ROW LEVEL SECURITY;
ALTER TABLE trained_network_part ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON trained_network USING (owner = current_user);
CREATE POLICY own_rows ON trained_network_part USING (owner = current_user);
CREATE POLICY granted_rows ON trained_network FOR SELECT USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 2);
CREATE POLICY granted_rows ON trained_network_part FOR SELECT USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 2);
CREATE POLICY granted_training ON trained_network USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);
CREATE POLICY granted_training ON trained_network_part USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);
CREATE POLICY of_same_owner ON trained_network AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_graph g WHERE g.graph = trained_network.graph AND g.owner = trained_network.owner));
CREATE POLICY of_same_owner ON trained_network_part AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM trained_network n
                      WHERE n.graph = trained_network_part.graph AND n.owner = trained_network_part.owner));

COMMENT ON POLICY own_rows ON trained_network IS 'Every role sees and changes its own networks';
COMMENT ON POLICY own_rows ON trained_network_part IS 'Every role sees and changes its own networks';
COMMENT ON POLICY granted_rows ON trained_network IS 'Readers compute vectors by the networks of others';
COMMENT ON POLICY granted_rows ON trained_network_part IS 'Readers compute vectors by the networks of others';
COMMENT ON POLICY granted_training ON trained_network IS 'Trainers write networks for the owner';
COMMENT ON POLICY granted_training ON trained_network_part IS 'Trainers write networks for the owner';
COMMENT ON POLICY of_same_owner ON trained_network IS 'Networks are of the owner of their graph';
COMMENT ON POLICY of_same_owner ON trained_network_part IS 'Parts are of the owner of their network';

SELECT pg_extension_config_dump('trained_network', '');
SELECT pg_extension_config_dump('trained_network_part', '');

CREATE FUNCTION behavpred_internal.forget_in_network(graph text, user_id text) RETURNS bigint
AS 'MODULE_PATHNAME', 'behavpred_forget_in_network' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION behavpred_internal.forget_in_network(text, text) IS
'For forget_user(): take a user''s key and numbers out of the kept network of a graph. Result: how many were there, 0 or 1';

CREATE TABLE vector_succession (
  graph text NOT NULL REFERENCES registered_graph ON DELETE CASCADE,
  run_id bigint NOT NULL,
  earlier_run bigint NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  warm boolean NOT NULL,
  users bigint NOT NULL,
  user_cosine float8,
  object_cosine float8,
  PRIMARY KEY (graph, run_id, earlier_run)
);

COMMENT ON TABLE vector_succession IS
'How near the present vectors of each graph are to those of earlier runs: mean cosine of the same users and objects, and whether each training since then began with the network of the one before (warm)';

GRANT SELECT, INSERT, UPDATE, DELETE ON vector_succession TO PUBLIC;
ALTER TABLE vector_succession ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON vector_succession USING (owner = current_user);
CREATE POLICY granted_rows ON vector_succession FOR SELECT USING (behavpred_internal.privilege_near(owner, graph) >= 1);
CREATE POLICY granted_training ON vector_succession USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);
CREATE POLICY of_same_owner ON vector_succession AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_graph g WHERE g.graph = vector_succession.graph AND g.owner = vector_succession.owner));

COMMENT ON POLICY own_rows ON vector_succession IS 'Every role sees and changes its own vectors'' history';
COMMENT ON POLICY granted_rows ON vector_succession IS 'Whoever may predict sees which models fit';
COMMENT ON POLICY granted_training ON vector_succession IS 'Trainers write it for the owner';
COMMENT ON POLICY of_same_owner ON vector_succession IS 'Vectors are of the owner of their graph';

SELECT pg_extension_config_dump('vector_succession', '');

CREATE FUNCTION behavpred_internal.vectors_fit(warm boolean, cosine float8) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT warm AND cosine IS NOT NULL AND cosine >= 0.9 $$;

COMMENT ON FUNCTION behavpred_internal.vectors_fit(boolean, float8) IS
'For models and views: whether a model of an earlier run predicts with the present vectors: every training since then was a warm start, and the mean cosine of the users'' vectors is at least 0.9';

CREATE FUNCTION behavpred_internal.model_cosine(graph text, graph_run bigint, trained_run bigint) RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN $2 = $3 THEN 1
              ELSE (SELECT s.user_cosine FROM behavpred.vector_succession s
                    WHERE s.graph = $1 AND s.run_id = $3 AND s.earlier_run = $2) END
$$;

COMMENT ON FUNCTION behavpred_internal.model_cosine(text, bigint, bigint) IS
'For the views: mean cosine of the same users'' vectors between the run that a model was trained on and the present one, 1 for the same run, NULL when it was not measured';

CREATE FUNCTION behavpred_internal.model_fits(graph text, graph_run bigint, trained_run bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT $2 = $3
    OR EXISTS (SELECT FROM behavpred.vector_succession s
               WHERE s.graph = $1 AND s.run_id = $3 AND s.earlier_run = $2 AND behavpred_internal.vectors_fit(s.warm, s.user_cosine))
$$;

COMMENT ON FUNCTION behavpred_internal.model_fits(text, bigint, bigint) IS
'For the views: whether a model of one run of a graph predicts with the vectors of another';

-- ---------------------------------------------------------------------------
-- Models: many at once, versions, deployment
-- ---------------------------------------------------------------------------

CREATE TABLE model_deployment (
  deployment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target text NOT NULL REFERENCES registered_target ON DELETE CASCADE,
  version int NOT NULL,
  action text NOT NULL CHECK (action IN ('train', 'import', 'deploy', 'rollback')),
  returns_to bigint,
  owner name NOT NULL DEFAULT current_user,
  deployed_by name NOT NULL DEFAULT session_user,
  deployed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX model_deployment_target ON model_deployment (target, deployment_id);

COMMENT ON SEQUENCE model_deployment_deployment_id_seq IS 'Numbers of deployments, in their order';
COMMENT ON TABLE model_deployment IS 'Which version of each target answered from when on, who deployed it (deployed_by: the role that logged in), by which action, and the deployment that a rollback goes back to (returns_to)';

GRANT SELECT, INSERT, UPDATE, DELETE ON model_deployment TO PUBLIC;

ALTER TABLE model_deployment ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON model_deployment USING (owner = current_user);

CREATE POLICY granted_rows ON model_deployment FOR SELECT USING (behavpred_internal.privilege_on_target(owner, target) >= 2);

CREATE POLICY granted_training ON model_deployment FOR INSERT
  WITH CHECK (behavpred_internal.privilege_on_target(owner, target) >= 3);

CREATE POLICY of_same_owner ON model_deployment AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_target t
                      WHERE t.target = model_deployment.target AND t.owner = model_deployment.owner));

COMMENT ON POLICY own_rows ON model_deployment IS 'Every role sees and changes its own deployments';

COMMENT ON POLICY granted_rows ON model_deployment IS 'Deployments of others that the role may read';

COMMENT ON POLICY granted_training ON model_deployment IS 'Trainers write deployments for the owner';

COMMENT ON POLICY of_same_owner ON model_deployment IS 'Deployments are of the owner of their target';

COMMENT ON INDEX model_deployment_target IS 'The latest deployment of a target';

SELECT pg_extension_config_dump('model_deployment', '');

SELECT pg_extension_config_dump('model_deployment_deployment_id_seq', '');

CREATE FUNCTION train_targets(
  graph text DEFAULT NULL, targets text[] DEFAULT NULL,
  model text DEFAULT 'logistic', hidden int[] DEFAULT NULL,
  soft_weight float8 DEFAULT 0.5, seed_weights text DEFAULT 'isolation_forest',
  negative_ratio float8 DEFAULT NULL, calibration text DEFAULT 'platt',
  seed bigint DEFAULT NULL, threads int DEFAULT NULL, options jsonb DEFAULT NULL)
RETURNS TABLE (target text, run_id bigint, version int, n_positive bigint, n_negative bigint,
  auc float8, pr_auc float8, log_loss float8, ece float8,
  lift_at_1pct float8, teacher_auc float8, activity_auc float8,
  test_positives bigint, test_basis text, deployed boolean, seconds float8, error text, sqlstate text)
AS 'MODULE_PATHNAME', 'behavpred_train_targets' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION train_targets(text, text[], text, int[], float8, text, float8, text, bigint, int, jsonb) IS
  'train_target() for many: the targets named, else all of the graph, else all of yours. Embeddings and interactions are read once for all targets with the same candidates and negatives. One row for each; a target that cannot be trained has NULLs, and its message and SQLSTATE in error and sqlstate, and stops no other. The models are those that train_target() makes';

CREATE FUNCTION deploy(target text, version int) RETURNS void
AS 'MODULE_PATHNAME', 'behavpred_deploy' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION deploy(text, int) IS 'Lets this version of the target''s model answer from now on; see view models for the versions';

CREATE FUNCTION rollback(target text) RETURNS int
AS 'MODULE_PATHNAME', 'behavpred_rollback' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION rollback(text) IS 'Lets the version answer that did before the present one, with the same predictions; returns its number. Once more goes back further';

CREATE FUNCTION lookalike(
  graph text, seeds regclass, size bigint DEFAULT NULL, fraction float8 DEFAULT NULL,
  min_probability float8 DEFAULT NULL, min_lift float8 DEFAULT NULL,
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL,
  model text DEFAULT 'logistic', hidden int[] DEFAULT NULL,
  soft_weight float8 DEFAULT 0.5, seed_weights text DEFAULT 'isolation_forest',
  negative_ratio float8 DEFAULT NULL, calibration text DEFAULT 'platt',
  seed bigint DEFAULT NULL, threads int DEFAULT NULL, options jsonb DEFAULT NULL)
RETURNS TABLE (rank bigint, user_key text, probability float8, lift float8)
AS 'MODULE_PATHNAME', 'behavpred_lookalike' LANGUAGE C STABLE;

COMMENT ON FUNCTION lookalike(text, regclass, bigint, float8, float8, float8, boolean, regclass, text, int[], float8, text, float8, text, bigint, int, jsonb) IS
  'The users most like those of seeds (a relation of at least 20 users of the graph), best first, ties by key: a model is trained for this call as train_target() does, with what the seeds have in common as teacher, and forgotten. Conditions are those of audience(), the rest are arguments of train_target(). Probability: that a candidate is one of the seeds or would be, 0 to 1; lift: over the rate of seeds among the candidates. candidates: default all users of the graph; seeds are left out unless exclude_known is false';

CREATE FUNCTION audiences(
  targets text[], size bigint DEFAULT 1000, exclude_known boolean DEFAULT true,
  candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (target text, rank bigint, user_key text, probability float8, lift float8)
AS 'MODULE_PATHNAME', 'behavpred_audiences' LANGUAGE C STABLE;

COMMENT ON FUNCTION audiences(text[], bigint, boolean, regclass, int) IS
  'audience() for many targets, in their order, with the same result: the embeddings are read once for all targets of a graph with the same candidates. size: users of each target, at least 1; the other arguments as in audience()';

REVOKE EXECUTE ON FUNCTION
  train_targets(text, text[], text, int[], float8, text, float8, text, bigint, int, jsonb),
  deploy(text, int),
  rollback(text),
  lookalike(text, regclass, bigint, float8, float8, float8, boolean, regclass, text, int[], float8, text, float8, text, bigint, int, jsonb)
FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Memory and time of a training before it
-- ---------------------------------------------------------------------------

CREATE FUNCTION estimate(
  graph text,
  dimension int DEFAULT 64, factors int DEFAULT 4, layers int DEFAULT 2,
  routing_iterations int DEFAULT 2,
  epochs int DEFAULT NULL, batch_size int DEFAULT NULL, learning_rate float8 DEFAULT NULL,
  negatives int DEFAULT NULL, temperature float8 DEFAULT NULL, patience int DEFAULT NULL,
  validation_fraction float8 DEFAULT NULL, seed bigint DEFAULT NULL, threads int DEFAULT NULL,
  options jsonb DEFAULT NULL,
  OUT users bigint, OUT objects bigint, OUT edges bigint,
  OUT bytes bigint, OUT seconds float8, OUT max_memory bigint, OUT fits boolean, OUT advice text)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_estimate' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION estimate(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb) IS
'What train_graph() with the same arguments would need. Reads the sources as they are now, and runs a pilot of a few steps on a part of the users; writes nothing and takes no lock of the graph, so it may run beside a training. Takes as long as the reading and about a second more.
Arguments: those of train_graph(), with the same ranges and defaults.
Result: distinct users, objects and pairs; bytes of memory at the peak; seconds in all when no epoch is saved by patience, NULL when max_memory leaves no room for a pilot; behavpred.max_memory in bytes; whether the training fits into it; when it does not, the settings that would fit, and when it takes long, what would make it shorter.';

REVOKE EXECUTE ON FUNCTION
  estimate(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb)
FROM PUBLIC;

CREATE FUNCTION behavpred_internal.sees_target(owner name, graph text, target text, privilege int) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT behavpred_internal.sees_rows_of(owner) OR behavpred_internal.privilege_on(owner, graph, target) >= privilege $$;

COMMENT ON FUNCTION behavpred_internal.sees_target(name, text, text, int) IS
'For the views: whether the current role sees the rows of this one, or was granted the privilege (1 predict, 2 read, 3 train) on a target of a graph, or on the graph when target is NULL';

CREATE OR REPLACE VIEW graphs AS
SELECT g.graph, g.owner, g.created_at, g.interactions, g.user_column, g.object_column,
       g.behavior_column, g.behaviors, g.value_column, g.min_value, g.weight_column, g.time_column, g.since,
       g.users, g.user_features, g.objects, g.object_features, g.max_degree, g.row_security,
       g.user_embeddings, g.object_embeddings, g.trained_run, r.finished_at AS trained_at
FROM registered_graph g
LEFT JOIN training_run r ON r.run_id = g.trained_run
WHERE behavpred_internal.sees_target(g.owner, g.graph, NULL, 1);

COMMENT ON VIEW graphs IS 'Your graphs and those you were granted a privilege on, with the run that made their embeddings';

CREATE OR REPLACE VIEW targets AS
SELECT t.target, t.graph, t.owner, t.created_at, t.objects, t.seeds, t.candidates, t.negatives, t.horizon,
       t.deployed_version, m.trained_at, d.deployed_at, d.deployed_by
FROM registered_target t
LEFT JOIN trained_model m ON m.target = t.target AND m.version = t.deployed_version
LEFT JOIN LATERAL (SELECT d.deployed_at, d.deployed_by FROM model_deployment d
                   WHERE d.target = t.target ORDER BY d.deployment_id DESC LIMIT 1) d ON true
WHERE behavpred_internal.sees_target(t.owner, t.graph, t.target, 1);

COMMENT ON VIEW targets IS 'Your targets and those you were granted a privilege on, with the version that predicts now, since when, and who deployed it';

CREATE OR REPLACE VIEW models AS
SELECT m.target, m.version, m.version = t.deployed_version AS deployed, m.owner, m.trained_at, m.run_id, m.metrics,
       behavpred_internal.model_fits(t.graph, m.graph_run, g.trained_run) AS usable, m.metrics ->> 'teacher' AS teacher,
       (SELECT max(d.deployed_at) FROM model_deployment d WHERE d.target = m.target AND d.version = m.version) AS deployed_at,
       behavpred_internal.model_cosine(t.graph, m.graph_run, g.trained_run) AS vector_cosine
FROM trained_model m
JOIN registered_target t ON t.target = m.target
JOIN registered_graph g ON g.graph = t.graph
WHERE behavpred_internal.sees_target(m.owner, t.graph, m.target, 2);

COMMENT ON VIEW models IS 'Versions of the models that you may read, with their quality; usable: it fits the graph''s present embeddings; teacher: object, or seeds (the fallback for a target whose objects the graph does not know); deployed_at: the last time it was deployed; vector_cosine: how near the present vectors of users are to those it was trained on, 1 for the same run';

-- The interval of an AUC is that of Hanley and McNeil, from the numbers of the test part.
CREATE VIEW metrics AS
SELECT m.target, m.version, x.metric, x.value,
       CASE WHEN s.error IS NOT NULL THEN greatest(0, x.value - 1.96 * s.error) END AS low,
       CASE WHEN s.error IS NOT NULL THEN least(1, x.value + 1.96 * s.error) END AS high,
       c.positives + c.negatives AS n, c.positives
FROM trained_model m
JOIN registered_target t ON t.target = m.target
CROSS JOIN LATERAL (SELECT (m.metrics ->> 'test_positives')::bigint AS positives,
                           (m.metrics ->> 'test_negatives')::bigint AS negatives) c
CROSS JOIN LATERAL (SELECT key AS metric, value::float8 AS value FROM jsonb_each_text(m.metrics)
                    WHERE key IN ('auc', 'pr_auc', 'log_loss', 'brier', 'ece', 'lift_at_1pct', 'base_rate', 'prior_log_loss',
                                  'teacher_auc', 'centroid_auc', 'activity_auc', 'incumbent_auc') AND value IS NOT NULL) x
CROSS JOIN LATERAL (
  SELECT CASE WHEN x.metric IN ('auc', 'teacher_auc', 'centroid_auc', 'activity_auc', 'incumbent_auc')
                   AND c.positives > 0 AND c.negatives > 0
         THEN sqrt(greatest(0, x.value * (1 - x.value) + (c.positives - 1) * (x.value / (2 - x.value) - x.value ^ 2)
                               + (c.negatives - 1) * (2 * x.value ^ 2 / (1 + x.value) - x.value ^ 2))
                   / (c.positives * c.negatives)) END AS error) s
WHERE behavpred_internal.sees_target(m.owner, t.graph, m.target, 2);

COMMENT ON VIEW metrics IS 'Quality of the models that you may read, one row a metric, measured on the test part of n users with so many positives; low to high: 95 % interval of an AUC, NULL for other metrics; incumbent_auc: of the model that was deployed before, on the same users';

CREATE OR REPLACE VIEW training_log AS
SELECT e.run_id, r.graph, e.epoch, e.loss, e.recall_at_20, e.ndcg_at_20, e.seconds
FROM training_epoch e
JOIN training_run r ON r.run_id = e.run_id
WHERE behavpred_internal.sees_target(e.owner, r.graph, r.target, 2);

COMMENT ON VIEW training_log IS 'Epochs of the trainings of graphs that you may read: loss, quality on held-out edges, seconds';

-- ---------------------------------------------------------------------------
-- Jobs: procedures that commit between their steps, what they leave behind, and
-- what others see of a call while it runs
-- ---------------------------------------------------------------------------

ALTER TABLE training_run DROP CONSTRAINT training_run_status_check;

ALTER TABLE training_run ADD CONSTRAINT training_run_status_check
  CHECK (status IN ('running', 'paused', 'done', 'failed'));

CREATE TABLE training_job (
  run_id bigint PRIMARY KEY REFERENCES training_run ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  role name NOT NULL DEFAULT session_user,
  attempts int NOT NULL DEFAULT 1,
  attempt_started_at timestamptz NOT NULL,
  seconds float8 NOT NULL DEFAULT 0,
  peak_bytes bigint,
  fingerprint bigint NOT NULL,
  error_text text,
  error_code text
);

CREATE TABLE training_checkpoint (
  run_id bigint PRIMARY KEY REFERENCES training_run ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  epochs int NOT NULL,
  steps bigint NOT NULL,
  bytes bigint NOT NULL
);

CREATE TABLE training_checkpoint_part (
  run_id bigint NOT NULL REFERENCES training_checkpoint ON DELETE CASCADE,
  part int NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  fingerprint bigint NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (run_id, part)
);

-- Numbers of a network do not compress.
ALTER TABLE training_checkpoint_part ALTER COLUMN data SET STORAGE EXTERNAL;

COMMENT ON TABLE training_job IS 'Trainings that run as jobs: who started them, how long they took, why they failed';

COMMENT ON TABLE training_checkpoint IS 'Where unfinished jobs stand: epochs that ended, steps of the one after them';

COMMENT ON TABLE training_checkpoint_part IS 'The complete state of the network at a checkpoint, in pieces';

GRANT SELECT, INSERT, UPDATE, DELETE ON training_job, training_checkpoint, training_checkpoint_part TO PUBLIC;

ALTER TABLE training_job ENABLE ROW LEVEL SECURITY;

ALTER TABLE training_checkpoint ENABLE ROW LEVEL SECURITY;

ALTER TABLE training_checkpoint_part ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON training_job USING (owner = current_user);

CREATE POLICY own_rows ON training_checkpoint USING (owner = current_user);

CREATE POLICY own_rows ON training_checkpoint_part USING (owner = current_user);

-- A job that another role was granted belongs to the owner of the graph all the same; whoever
-- may read a run may read how it fared.
CREATE POLICY granted_rows ON training_job FOR SELECT
  USING (EXISTS (SELECT FROM training_run r WHERE r.run_id = training_job.run_id AND r.owner = training_job.owner));

CREATE POLICY granted_training ON training_job
  USING (EXISTS (SELECT FROM training_run r
                 WHERE r.run_id = training_job.run_id AND r.owner = training_job.owner
                   AND behavpred_internal.privilege_on(r.owner, r.graph, r.target) >= 3));

CREATE POLICY granted_training ON training_checkpoint
  USING (EXISTS (SELECT FROM training_run r
                 WHERE r.run_id = training_checkpoint.run_id AND r.owner = training_checkpoint.owner
                   AND behavpred_internal.privilege_on(r.owner, r.graph, r.target) >= 3));

CREATE POLICY granted_training ON training_checkpoint_part
  USING (EXISTS (SELECT FROM training_run r
                 WHERE r.run_id = training_checkpoint_part.run_id AND r.owner = training_checkpoint_part.owner
                   AND behavpred_internal.privilege_on(r.owner, r.graph, r.target) >= 3));

COMMENT ON POLICY granted_rows ON training_job IS 'Jobs of the runs that the role may read';

COMMENT ON POLICY granted_training ON training_job IS 'Trainers run jobs for the owner';

COMMENT ON POLICY granted_training ON training_checkpoint IS 'Trainers run jobs for the owner';

COMMENT ON POLICY granted_training ON training_checkpoint_part IS 'Trainers run jobs for the owner';

COMMENT ON POLICY own_rows ON training_job IS 'Every role sees and changes its own jobs';

COMMENT ON POLICY own_rows ON training_checkpoint IS 'Every role sees and changes its own checkpoints';

COMMENT ON POLICY own_rows ON training_checkpoint_part IS 'Every role sees and changes its own checkpoints';

SELECT pg_extension_config_dump('training_job', '');

SELECT pg_extension_config_dump('training_checkpoint', '');

SELECT pg_extension_config_dump('training_checkpoint_part', '');

CREATE PROCEDURE run_graph(
  graph text,
  dimension int DEFAULT 64, factors int DEFAULT 4, layers int DEFAULT 2,
  routing_iterations int DEFAULT 2,
  epochs int DEFAULT NULL, batch_size int DEFAULT NULL, learning_rate float8 DEFAULT NULL,
  negatives int DEFAULT NULL, temperature float8 DEFAULT NULL, patience int DEFAULT NULL,
  validation_fraction float8 DEFAULT NULL, seed bigint DEFAULT NULL, threads int DEFAULT NULL,
  options jsonb DEFAULT NULL,
  max_seconds float8 DEFAULT NULL, resume boolean DEFAULT true, checkpoint_seconds float8 DEFAULT 60)
AS 'MODULE_PATHNAME', 'behavpred_run_graph' LANGUAGE C;

COMMENT ON PROCEDURE run_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb, float8, boolean, float8) IS
'train_graph() as a job: loads, commits, computes without a snapshot (so VACUUM is not held back), commits a checkpoint now and then, and stores the vectors in one transaction at the end. The same arguments give the same vectors as train_graph(), to the byte, however often it was interrupted. Not inside a transaction block or a function.
The first fifteen arguments are those of train_graph(). max_seconds: from 0 on; when they have passed, it stops at a checkpoint with status paused, default never. resume: go on from the checkpoint of a run that was paused, failed or crashed, when data, options and seed are the same (default true); otherwise it starts afresh. checkpoint_seconds: from 0 on, seconds between checkpoints (0 = after each step), default 60.
Result: a row in the view runs, from its beginning on; progress in the views progress and training_log.';

REVOKE EXECUTE ON PROCEDURE
  run_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb, float8, boolean, float8)
FROM PUBLIC;

CREATE PROCEDURE run_targets(
  graph text DEFAULT NULL, targets text[] DEFAULT NULL,
  model text DEFAULT 'logistic', hidden int[] DEFAULT NULL,
  soft_weight float8 DEFAULT 0.5, seed_weights text DEFAULT 'isolation_forest',
  negative_ratio float8 DEFAULT NULL, calibration text DEFAULT 'platt',
  seed bigint DEFAULT NULL, threads int DEFAULT NULL, options jsonb DEFAULT NULL,
  max_seconds float8 DEFAULT NULL)
AS 'MODULE_PATHNAME', 'behavpred_run_targets' LANGUAGE C;

COMMENT ON PROCEDURE run_targets(text, text[], text, int[], float8, text, float8, text, bigint, int, jsonb, float8) IS
'train_targets() as a job: commits after every 16 targets, those first whose last training is longest ago. A target that cannot be trained is recorded as failed in the view runs and stops no other; it is an error when that is so of all. Not inside a transaction block or a function.
graph, targets: the targets named, else all of the graph, else all of yours; the others are those of train_targets(), on which EXECUTE is needed as well. max_seconds: from 0 on; when they have passed, it stops after the 16 it is at, and the next call begins with those that are left.';

REVOKE EXECUTE ON PROCEDURE
  run_targets(text, text[], text, int[], float8, text, float8, text, bigint, int, jsonb, float8)
FROM PUBLIC;

CREATE PROCEDURE run_maintenance(keep_versions int DEFAULT 5, keep_runs int DEFAULT 100)
AS 'MODULE_PATHNAME', 'behavpred_run_maintenance' LANGUAGE C;

COMMENT ON PROCEDURE run_maintenance(int, int) IS
'Throws away what is old, of what is yours: versions of models, runs, checkpoints that a later training has made useless. Not inside a transaction block or a function.
keep_versions: how many of the latest versions of each target stay, from 1 on, default 5; the deployed version, and the one that rollback() goes back to, stay in any case. keep_runs: how many of the latest runs of each graph and target stay, from 1 on, default 100; so do those of vectors and models that are there.';

REVOKE EXECUTE ON PROCEDURE run_maintenance(int, int) FROM PUBLIC;

CREATE FUNCTION behavpred_internal.progress_slots()
RETURNS TABLE (pid int, role name, graph text, target text, phase text, done bigint, total bigint,
               percent float8, eta float8, bytes bigint, started timestamptz)
AS 'MODULE_PATHNAME', 'behavpred_progress_slots' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION behavpred_internal.progress_slots() IS 'For the view progress: the calls of this database that the current role may see, at most 16';

CREATE VIEW progress AS
SELECT p.pid, p.role, p.graph, p.target, p.phase, p.done, p.total, p.percent, p.eta, p.bytes, p.started
FROM behavpred_internal.progress_slots() p;

COMMENT ON VIEW progress IS 'Your long calls that run now: phase, done of total steps of it, seconds that it will take yet (eta), bytes of memory';

-- A run whose process is gone, or whose number belongs to a younger process, has crashed. A
-- standby cannot know.
CREATE FUNCTION behavpred_internal.run_is_alive(pid int, started_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pg_is_in_recovery() OR EXISTS (
    SELECT FROM pg_stat_activity a
    WHERE a.pid = run_is_alive.pid AND (a.backend_start IS NULL OR a.backend_start <= run_is_alive.started_at))
$$;

COMMENT ON FUNCTION behavpred_internal.run_is_alive(int, timestamptz) IS 'For the view runs: whether the process that began a run is still there';

CREATE OR REPLACE VIEW runs AS
SELECT r.run_id, r.graph, r.target, r.version, r.owner, r.pid,
       CASE WHEN r.status <> 'running' OR behavpred_internal.run_is_alive(r.pid, coalesce(j.attempt_started_at, r.started_at))
            THEN r.status ELSE 'crashed' END AS status,
       r.started_at, r.finished_at,
       CASE WHEN j.run_id IS NULL THEN extract(epoch FROM r.finished_at - r.started_at)::float8
            ELSE j.seconds END AS seconds,
       r.seed, r.threads, r.options, r.result,
       coalesce(j.role, r.owner) AS role, coalesce(j.attempts, 1) AS attempts,
       coalesce(j.peak_bytes, (r.result ->> 'memory_peak')::bigint) AS peak_bytes,
       j.error_text, j.error_code AS sqlstate
FROM training_run r
LEFT JOIN training_job j ON j.run_id = r.run_id
WHERE behavpred_internal.sees_target(r.owner, r.graph, r.target, 2);

COMMENT ON VIEW runs IS 'Trainings that you may read, of graphs (target is NULL) and targets: running, paused, done, failed or crashed; seconds of all attempts';

-- ---------------------------------------------------------------------------
-- Keeping: grants to other roles, change of owner
-- ---------------------------------------------------------------------------

-- A relation by its quoted name in the catalog tables. Unlike to_regclass() it does not
-- fail for want of USAGE on the schema, nor for what somebody has written there by hand.
CREATE FUNCTION behavpred_internal.relation_named(name text) RETURNS regclass
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (n.nspname, c.relname) = (
    SELECT part[1]::name, part[2]::name
    FROM (SELECT CASE WHEN name ~ E'^("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)\\.("([^"]|"")+"|[[:alpha:]_][[:alnum:]_$]*)$'
                 THEN parse_ident(name) END) AS parsed (part))
$$;

COMMENT ON FUNCTION behavpred_internal.relation_named(text) IS
'For the views: the relation of a quoted, schema-qualified name, NULL when there is none';

-- The graph of that name, as far as the caller may see it.
CREATE FUNCTION behavpred_internal.graph_named(graph text) RETURNS registered_graph
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  g behavpred.registered_graph;
BEGIN
  SELECT * INTO g FROM behavpred.registered_graph r WHERE r.graph = $1;
  IF g.graph IS NULL THEN
    RAISE EXCEPTION USING errcode = CASE WHEN $1 IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN $1 IS NULL THEN 'graph must not be NULL' ELSE format('graph "%s" does not exist', $1) END,
      hint = 'Your graphs: SELECT * FROM behavpred.graphs;';
  END IF;
  RETURN g;
END
$$;

COMMENT ON FUNCTION behavpred_internal.graph_named(text) IS 'For functions with a graph: its definition; complains about a name that is none';

-- The graph and target that a grant names, for its owner.
CREATE FUNCTION behavpred_internal.grant_object(kind text, name text, OUT graph text, OUT target text, OUT owner name)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
  IF kind IS DISTINCT FROM 'graph' AND kind IS DISTINCT FROM 'target' THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN kind IS NULL THEN 'kind must not be NULL' ELSE format('kind is "%s"', kind) END,
      detail = 'It is graph, for the graph and all its targets, or target.',
      hint = format('SELECT behavpred.grant_on(''target'', %L, ''predict'', ''some_role'');', coalesce(name, 'buys_42'));
  END IF;
  IF kind = 'graph' THEN
    SELECT g.graph, g.owner INTO graph, owner FROM behavpred.registered_graph g WHERE g.graph = name;
  ELSE
    SELECT t.graph, t.target, t.owner INTO graph, target, owner
    FROM behavpred.registered_target t WHERE t.target = name;
  END IF;
  IF owner IS NULL THEN
    RAISE EXCEPTION USING errcode = CASE WHEN name IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN name IS NULL THEN 'name must not be NULL' ELSE format('%s "%s" does not exist', kind, name) END,
      hint = format('Yours: SELECT * FROM behavpred.%ss;', kind);
  END IF;
  IF NOT behavpred_internal.sees_rows_of(owner) THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('%s "%s" is owned by "%s"', kind, name, owner),
      detail = 'Only its owner gives and takes privileges on it.',
      hint = format('SET ROLE %I;', owner);
  END IF;
END
$$;

COMMENT ON FUNCTION behavpred_internal.grant_object(text, text) IS
'For grant_on() and revoke_on(): the graph, the target (NULL when a graph is named) and the owner, who must be the caller';

-- A privilege and a role that can be granted to.
CREATE FUNCTION behavpred_internal.check_grant(privilege text, role name) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT coalesce(privilege = ANY ('{predict,read,train}'), false) THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN privilege IS NULL THEN 'privilege must not be NULL' ELSE format('privilege is "%s"', privilege) END,
      detail = 'It is predict, read (which includes predict) or train (which includes both).',
      hint = 'SELECT behavpred.grant_on(''target'', ''buys_42'', ''predict'', ''some_role'');';
  END IF;
  IF role IS NULL OR role <> 'public' AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
    RAISE EXCEPTION USING errcode = CASE WHEN role IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN role IS NULL THEN 'role must not be NULL' ELSE format('role "%s" does not exist', role) END,
      hint = 'Name a role of this server, or public for all roles.';
  END IF;
END
$$;

COMMENT ON FUNCTION behavpred_internal.check_grant(text, name) IS 'For grant_on(): complains about a privilege or role that does not exist';

-- What each privilege needs on the embedding tables. Training a target only reads them.
CREATE FUNCTION embedding_grants(graph text)
RETURNS TABLE (relation regclass, privileges text, grantee name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT t.relation,
         CASE WHEN bool_or(p.privilege = 'train' AND p.target IS NULL) THEN 'SELECT, INSERT, DELETE' ELSE 'SELECT' END,
         p.grantee
  FROM behavpred.registered_graph g
  CROSS JOIN LATERAL (VALUES
    (behavpred_internal.relation_named(g.user_embeddings), true), (behavpred_internal.relation_named(g.object_embeddings), false))
    AS t (relation, of_users)
  JOIN behavpred.granted_privilege p ON p.graph = g.graph AND p.owner = g.owner
  WHERE g.graph = $1 AND t.relation IS NOT NULL AND p.embeddings AND (t.of_users OR p.privilege <> 'predict')
    AND (p.grantee = 'public' OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = p.grantee))
  GROUP BY t.relation, p.grantee
$$;

COMMENT ON FUNCTION embedding_grants(text) IS
'What the grants on a graph and its targets, made with embeddings => true, need on the embedding tables';

CREATE FUNCTION renew_grants(graph text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  needed record;
  holds boolean;
BEGIN
  FOR needed IN SELECT * FROM behavpred.embedding_grants(graph) LOOP
    SELECT count(DISTINCT a.privilege_type) = 1 + length(needed.privileges) - length(replace(needed.privileges, ',', ''))
    INTO holds
    FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.oid = needed.relation AND coalesce(r.rolname, 'public') = needed.grantee
      AND a.privilege_type = ANY (string_to_array(needed.privileges, ', '));
    CONTINUE WHEN holds;
    EXECUTE format('GRANT %s ON %s TO %s', needed.privileges, needed.relation,
                   CASE needed.grantee WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(needed.grantee) END);
  END LOOP;
END
$$;

COMMENT ON FUNCTION renew_grants(text) IS
'Grants on the embedding tables of a graph what grant_on() has promised, as far as it is missing; train_graph() calls it, so that tables which it makes anew are as accessible as those before';

CREATE FUNCTION grant_on(kind text, name text, privilege text, role name, embeddings boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  object record;
BEGIN
  PERFORM behavpred_internal.check_grant($3, $4);
  SELECT * INTO object FROM behavpred_internal.grant_object(kind, name);
  INSERT INTO behavpred.granted_privilege (graph, target, privilege, grantee, owner, embeddings)
  VALUES (object.graph, object.target, $3, $4, object.owner, coalesce($5, true))
  ON CONFLICT (graph, coalesce(target, ''), privilege, grantee, owner) DO UPDATE SET embeddings = excluded.embeddings;
  PERFORM behavpred.renew_grants(object.graph);
END
$$;

COMMENT ON FUNCTION grant_on(text, text, text, name, boolean) IS
'Let another role use your graph or target.
kind: graph (and so all its targets, those to come as well) or target. name: of it.
privilege: predict: predict(); read: also audiences, definitions, runs, metrics; train: also train_graph() or train_target(). Each includes those before it. Sources are read as the role that trains or asks for an audience.
role: a role, whose members have the privilege as well, or public.
embeddings: also GRANT what the privilege needs on the embedding tables, now and whenever a training makes them anew; default true.
See the view privileges for what may still be missing.';

CREATE FUNCTION revoke_on(kind text, name text, privilege text, role name) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  object record;
  relation regclass;
  relations regclass[];
BEGIN
  SELECT * INTO object FROM behavpred_internal.grant_object(kind, name);
  relations := ARRAY(SELECT e.relation FROM behavpred.embedding_grants(object.graph) e WHERE e.grantee = role);
  DELETE FROM behavpred.granted_privilege p
  WHERE p.graph = object.graph AND p.target IS NOT DISTINCT FROM object.target AND p.owner = object.owner
    AND p.privilege = $3 AND p.grantee = role;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING errcode = CASE WHEN $3 IS NULL OR $4 IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN $3 IS NULL THEN 'privilege must not be NULL'
                     WHEN $4 IS NULL THEN 'role must not be NULL'
                     ELSE format('role "%s" was not granted %s on %s "%s"', $4, $3, kind, name) END,
      hint = format('SELECT * FROM behavpred.privileges WHERE kind = %L AND name = %L;', kind, name);
  END IF;
  FOREACH relation IN ARRAY relations LOOP
    EXECUTE format('REVOKE SELECT, INSERT, DELETE ON %s FROM %s', relation,
                   CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END);
  END LOOP;
  PERFORM behavpred.renew_grants(object.graph);
END
$$;

COMMENT ON FUNCTION revoke_on(text, text, text, name) IS
'Take back what grant_on() gave: this privilege of this role (or public), and what only it needed on the embedding tables';

CREATE FUNCTION reassign_owner(old_owner name, new_owner name) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  relation regclass;
  changed bigint;
  total bigint := 0;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)) THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = 'permission denied to change the owner of graphs',
      detail = format('Role "%s" sees its own rows only.', current_user),
      hint = 'Ask a superuser.';
  END IF;
  IF old_owner IS NULL OR NOT EXISTS (SELECT FROM pg_roles WHERE rolname = new_owner) THEN
    RAISE EXCEPTION USING errcode = CASE WHEN old_owner IS NULL OR new_owner IS NULL THEN 'null_value_not_allowed' ELSE 'undefined_object' END,
      message = CASE WHEN old_owner IS NULL THEN 'old_owner must not be NULL'
                     WHEN new_owner IS NULL THEN 'new_owner must not be NULL'
                     ELSE format('role "%s" does not exist', new_owner) END,
      hint = 'SELECT behavpred.reassign_owner(''old_role'', ''new_role'');';
  END IF;
  FOR relation IN
    SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'behavpred'::regnamespace AND c.relkind = 'r'
      AND a.attname = 'owner' AND NOT a.attisdropped
    ORDER BY c.relname
  LOOP
    EXECUTE format('UPDATE %s SET owner = $1 WHERE owner = $2', relation) USING new_owner, old_owner;
    GET DIAGNOSTICS changed = ROW_COUNT;
    total := total + changed;
  END LOOP;
  RETURN total;
END
$$;

COMMENT ON FUNCTION reassign_owner(name, name) IS
'For superusers: give the graphs, targets, runs, models and grants of one role, which need not exist any more, to another, as REASSIGN OWNED does with tables. Returns the number of rows';

REVOKE EXECUTE ON FUNCTION
  grant_on(text, text, text, name, boolean), revoke_on(text, text, text, name), reassign_owner(name, name)
FROM PUBLIC;

-- What a grant lacks to take effect: the privileges of PostgreSQL that go with it.
CREATE FUNCTION behavpred_internal.grant_lacks(graph text, target text, privilege text, grantee name) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(DISTINCT lack ORDER BY lack) FILTER (WHERE lack IS NOT NULL), '{}')
  FROM behavpred.registered_graph g
  LEFT JOIN behavpred.registered_target t ON t.graph = g.graph AND t.target = $2
  CROSS JOIN LATERAL (VALUES
    (g.user_embeddings, 'SELECT', true), (g.object_embeddings, 'SELECT', $3 <> 'predict'),
    (g.user_embeddings, 'INSERT', $3 = 'train' AND $2 IS NULL), (g.object_embeddings, 'INSERT', $3 = 'train' AND $2 IS NULL),
    (g.user_embeddings, 'DELETE', $3 = 'train' AND $2 IS NULL), (g.object_embeddings, 'DELETE', $3 = 'train' AND $2 IS NULL),
    (g.interactions, 'SELECT', $3 <> 'predict'), (t.seeds, 'SELECT', $3 <> 'predict'), (t.candidates, 'SELECT', $3 <> 'predict'),
    (t.negatives, 'SELECT', $3 = 'train'),
    (g.users, 'SELECT', $3 = 'train' AND $2 IS NULL), (g.objects, 'SELECT', $3 = 'train' AND $2 IS NULL))
    AS needed (name, privilege, applies)
  CROSS JOIN LATERAL (SELECT behavpred_internal.relation_named(needed.name)) AS found (relation)
  LEFT JOIN pg_class c ON c.oid = found.relation
  CROSS JOIN LATERAL (VALUES
    (CASE WHEN NOT has_schema_privilege($4, c.relnamespace, 'USAGE')
          THEN format('USAGE ON SCHEMA %s', c.relnamespace::regnamespace) END),
    (CASE WHEN NOT has_table_privilege($4, c.oid, needed.privilege)
           AND NOT (needed.privilege = 'SELECT' AND has_any_column_privilege($4, c.oid, 'SELECT'))
          THEN format('%s ON %s', needed.privilege, found.relation) END)) AS lacking (lack)
  WHERE g.graph = $1 AND needed.applies
$$;

COMMENT ON FUNCTION behavpred_internal.grant_lacks(text, text, text, name) IS
'For the view privileges: what a role that exists lacks on embedding tables and sources to use a grant';

CREATE FUNCTION export_model(target text, version int DEFAULT NULL) RETURNS bytea
AS 'MODULE_PATHNAME', 'behavpred_export_model' LANGUAGE C STABLE;

COMMENT ON FUNCTION export_model(text, int) IS
'A model with what another server needs to take it in by import_model(): which training of the graph it fits, numbers in a vector, quality, checksum. version: default the deployed one';

CREATE FUNCTION import_model(
  target text, exported bytea, deploy boolean DEFAULT true, other_run boolean DEFAULT false)
RETURNS int
AS 'MODULE_PATHNAME', 'behavpred_import_model' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION import_model(text, bytea, boolean, boolean) IS
'Take in what export_model() gave as the next version of a target; returns the version. It must fit the graph''s present vectors, those of the very training that it was made on, as in a database restored from a dump. deploy: let it predict from now on. other_run: true vouches that the vectors are those of that training although the record of it is not here; vectors of another length are refused all the same';

REVOKE EXECUTE ON FUNCTION import_model(text, bytea, boolean, boolean) FROM PUBLIC;

CREATE VIEW privileges AS
SELECT 'graph' AS kind, g.graph AS name, g.owner AS role, 'own' AS privilege, g.owner AS granted_by,
       g.created_at AS since, NULL::text[] AS lacks
FROM registered_graph g
WHERE behavpred_internal.sees_rows_of(g.owner)
UNION ALL
SELECT 'target', t.target, t.owner, 'own', t.owner, t.created_at, NULL
FROM registered_target t
WHERE behavpred_internal.sees_rows_of(t.owner)
UNION ALL
SELECT CASE WHEN p.target IS NULL THEN 'graph' ELSE 'target' END, coalesce(p.target, p.graph), p.grantee, p.privilege,
       p.owner, p.granted_at,
       CASE WHEN p.grantee = 'public' OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee)
            THEN behavpred_internal.grant_lacks(p.graph, p.target, p.privilege, p.grantee)
            ELSE ARRAY['the role does not exist'] END
FROM granted_privilege p
JOIN registered_graph g ON g.graph = p.graph AND g.owner = p.owner
WHERE behavpred_internal.sees_rows_of(p.owner) OR behavpred_internal.privilege_on(p.owner, p.graph, p.target) > 0
  AND (p.grantee = 'public'
       OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee AND pg_catalog.pg_has_role(r.oid, 'USAGE')));

COMMENT ON VIEW privileges IS
'Who may do what with your graphs and targets, and what you were granted on those of others. A grant on a graph covers its targets. lacks: privileges of PostgreSQL that the role needs beside the grant (for read, those on sources only to leave out known users)';

-- ---------------------------------------------------------------------------
-- Erasure
-- ---------------------------------------------------------------------------

CREATE FUNCTION forget_user(graph text, user_id text) RETURNS TABLE (place text, row_count bigint, action text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  g behavpred.registered_graph := behavpred_internal.graph_named($1);
  source record;
  relation regclass;
  key_column name;
BEGIN
  IF g.owner <> current_user THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('graph "%s" is owned by "%s"', $1, g.owner),
      detail = 'Its sources are read as its owner only.', hint = format('SET ROLE %I;', g.owner);
  END IF;
  IF $2 IS NULL THEN
    RAISE EXCEPTION USING errcode = 'null_value_not_allowed', message = 'user_id must not be NULL',
      hint = format('SELECT * FROM behavpred.forget_user(%L, ''4711'');', $1);
  END IF;

  relation := behavpred_internal.relation_named(g.user_embeddings);
  IF relation IS NOT NULL THEN
    EXECUTE format('DELETE FROM %s WHERE %I = $1::%s', relation, g.user_column, g.user_key_type::regtype) USING $2;
    GET DIAGNOSTICS row_count = ROW_COUNT;
    place := relation; action := 'removed'; RETURN NEXT;
  END IF;

  -- The state of an unfinished training has parameters of every user, by number.
  DELETE FROM behavpred.training_checkpoint c USING behavpred.training_run r
  WHERE r.run_id = c.run_id AND r.graph = $1 AND r.owner = current_user;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  place := 'behavpred.training_checkpoint'; action := 'removed'; RETURN NEXT;

  row_count := behavpred_internal.forget_in_network($1, $2);
  place := 'behavpred.trained_network_part'; action := 'removed'; RETURN NEXT;

  EXECUTE format('UPDATE behavpred.drift_reference SET users = array_remove(users, $2::%1$s::text) WHERE graph = $1 AND $2::%1$s::text = ANY (users)',
                 g.user_key_type::regtype) USING $1, $2;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  place := 'behavpred.drift_reference'; action := 'removed'; RETURN NEXT;

  EXECUTE format('UPDATE behavpred.changed_nodes SET users = array_remove(users, $2::%1$s::text) WHERE graph = $1 AND $2::%1$s::text = ANY (users)',
                 g.user_key_type::regtype) USING $1, $2;
  GET DIAGNOSTICS row_count = ROW_COUNT;
  place := 'behavpred.changed_nodes'; action := 'removed'; RETURN NEXT;

  FOR source IN
    SELECT s.name, s.role, min(s.priority) AS priority
    FROM (SELECT g.interactions, 'interactions', 1
          UNION ALL SELECT g.users, 'features', 2
          UNION ALL SELECT t.seeds, 'seeds', 3 FROM behavpred.registered_target t WHERE t.graph = $1
          UNION ALL SELECT t.candidates, 'candidates', 4 FROM behavpred.registered_target t WHERE t.graph = $1
          UNION ALL SELECT t.negatives, 'negatives', 5 FROM behavpred.registered_target t WHERE t.graph = $1
          UNION ALL SELECT format('%I.%I', n.nspname, c.relname), 'audience', 6
          FROM behavpred.registered_target t
          JOIN pg_class c ON obj_description(c.oid, 'pg_class') = format('Audience of target "%s", best first by rank', t.target)
          JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE t.graph = $1 AND pg_has_role(c.relowner, 'USAGE')) AS s (name, role, priority)
    WHERE s.name IS NOT NULL
    GROUP BY s.name, s.role ORDER BY 3, 1
  LOOP
    relation := behavpred_internal.relation_named(source.name);
    -- The key stands where it is looked for in a training: in the column of that name, else in the only one.
    SELECT a.attname INTO key_column FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attname <> g.user_column,
             NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND i.indisprimary AND a.attnum = ANY (i.indkey)),
             a.attnum LIMIT 1;
    CONTINUE WHEN relation IS NULL OR key_column IS NULL;
    EXECUTE format('SELECT count(*) FROM %s WHERE %I::text = $1::%s::text', relation, key_column, g.user_key_type::regtype)
      INTO row_count USING $2;
    place := relation; action := format('remains: yours to delete (%s)', source.role); RETURN NEXT;
  END LOOP;
END
$$;

CREATE FUNCTION forget_user(graph text, user_id anyelement) RETURNS TABLE (place text, row_count bigint, action text)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT * FROM behavpred.forget_user($1, $2::text) $$;

COMMENT ON FUNCTION forget_user(text, text) IS
'Remove what this extension stores of a user of your graph: his vector, his part of the kept network, his key among those that check_drift() looks at again and in the queue of changes, and the checkpoints of unfinished trainings. Result, a receipt: where, how many rows, and removed or what remains in your own tables (sources of the graph and its targets, audiences), which are not touched: the next training reads him from there again. Models keep no keys; train them again to have them without him';

COMMENT ON FUNCTION forget_user(text, anyelement) IS 'The same, the user''s key in its own type';

REVOKE EXECUTE ON FUNCTION forget_user(text, text), forget_user(text, anyelement) FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Watching
-- ---------------------------------------------------------------------------

CREATE FUNCTION environment() RETURNS TABLE (property text, value text)
AS 'MODULE_PATHNAME', 'behavpred_environment' LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION environment() IS
'What this backend runs on: library and PostgreSQL versions, build and kernel of OpenBLAS, instruction set of the own kernels, threads of the process, processors, bytes of memory of the machine';

CREATE VIEW health AS
WITH settings AS (
  SELECT max(value) FILTER (WHERE property = 'memory_bytes')::bigint AS memory,
         max(value) FILTER (WHERE property = 'processors')::int AS processors,
         max(value) FILTER (WHERE property = 'process_threads')::int AS process_threads,
         max(value) FILTER (WHERE property = 'library_version') AS library,
         max(value) FILTER (WHERE property = 'openblas') AS openblas,
         max(value) FILTER (WHERE property = 'openblas_kernel') AS openblas_kernel,
         max(value) FILTER (WHERE property = 'kernels') AS kernels,
         pg_catalog.pg_size_bytes(pg_catalog.current_setting('behavpred.max_memory')) AS max_memory,
         pg_catalog.current_setting('behavpred.threads')::int AS threads,
         pg_catalog.current_setting('behavpred.max_threads')::int AS max_threads,
         (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'behavpred') AS sql_version
  FROM environment()),
sources AS (
  SELECT 'graph ' || g.graph AS object, s.name FROM registered_graph g
  CROSS JOIN LATERAL (VALUES (g.interactions), (g.users), (g.objects)) AS s (name) WHERE behavpred_internal.sees_rows_of(g.owner)
  UNION ALL
  SELECT 'target ' || t.target, s.name FROM registered_target t
  CROSS JOIN LATERAL (VALUES (t.seeds), (t.candidates), (t.negatives)) AS s (name) WHERE behavpred_internal.sees_rows_of(t.owner)),
checks (name, problems, detail, hint) AS (
  SELECT 'dead runs', count(*),
         pg_catalog.string_agg('run ' || r.run_id || ' of graph ' || r.graph, ', ' ORDER BY r.run_id),
         'Its process ended without bringing the run to an end; run the training again.'
  FROM runs r
  WHERE r.status = 'crashed' AND behavpred_internal.sees_rows_of(r.owner)
  UNION ALL
  SELECT 'stale models', count(*), pg_catalog.string_agg('target ' || t.target, ', ' ORDER BY t.target),
         'The graph was trained after the deployed model: SELECT * FROM behavpred.train_target(...);'
  FROM registered_target t
  JOIN registered_graph g ON g.graph = t.graph
  JOIN trained_model m ON m.target = t.target AND m.version = t.deployed_version
  WHERE behavpred_internal.model_fits(t.graph, m.graph_run, g.trained_run) IS NOT TRUE AND behavpred_internal.sees_rows_of(t.owner)
  UNION ALL
  SELECT 'missing sources', count(*), pg_catalog.string_agg(s.object || ': ' || s.name, ', ' ORDER BY s.object, s.name),
         'Give the relation its name back, or drop what reads it and create it anew.'
  FROM sources s WHERE s.name IS NOT NULL AND behavpred_internal.relation_named(s.name) IS NULL
  UNION ALL
  SELECT 'missing embeddings', count(*), pg_catalog.string_agg('graph ' || g.graph || ': ' || e.name, ', ' ORDER BY g.graph, e.name),
         'Give the table its name back, or SELECT * FROM behavpred.train_graph(...);'
  FROM registered_graph g CROSS JOIN LATERAL (VALUES (g.user_embeddings), (g.object_embeddings)) AS e (name)
  WHERE e.name IS NOT NULL AND behavpred_internal.relation_named(e.name) IS NULL AND behavpred_internal.sees_rows_of(g.owner)
  UNION ALL
  SELECT 'missing owners', count(DISTINCT g.owner), pg_catalog.string_agg(DISTINCT g.owner::text, ', '),
         pg_catalog.format('SELECT behavpred.reassign_owner(%L, ''new_role'');', min(g.owner::text))
  FROM registered_graph g
  WHERE behavpred_internal.sees_rows_of(g.owner) AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = g.owner)
  UNION ALL
  SELECT 'missing grantees', count(DISTINCT p.grantee), pg_catalog.string_agg(DISTINCT p.grantee::text, ', '),
         (pg_catalog.array_agg(pg_catalog.format('SELECT behavpred.revoke_on(%L, %L, %L, %L);',
            CASE WHEN p.target IS NULL THEN 'graph' ELSE 'target' END, coalesce(p.target, p.graph), p.privilege, p.grantee)
            ORDER BY p.grantee, p.graph, p.target))[1]
  FROM granted_privilege p
  WHERE behavpred_internal.sees_rows_of(p.owner) AND p.grantee <> 'public'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p.grantee)
  UNION ALL
  SELECT 'memory', (s.max_memory > s.memory / 2)::int,
         pg_catalog.format('behavpred.max_memory is %s, the machine has %s', pg_catalog.pg_size_pretty(s.max_memory), pg_catalog.pg_size_pretty(s.memory)),
         'SET behavpred.max_memory to less than half of the machine''s memory.'
  FROM settings s
  UNION ALL
  SELECT 'threads', (least(s.threads, s.max_threads) > s.processors OR s.process_threads > 1)::int,
         pg_catalog.format('behavpred.threads is %s, at most %s, on %s processors; this process has %s', s.threads, s.max_threads, s.processors, s.process_threads),
         'SET behavpred.threads to at most the number of processors; a backend at rest has one thread.'
  FROM settings s
  UNION ALL
  SELECT 'openblas', (s.openblas IS NULL)::int,
         pg_catalog.format('%s, kernel %s; own kernels %s', coalesce(s.openblas, 'another BLAS'), coalesce(s.openblas_kernel, 'unknown'), s.kernels),
         'Install OpenBLAS; results on another BLAS have not been proved.'
  FROM settings s
  UNION ALL
  SELECT 'versions', (s.library <> s.sql_version)::int,
         pg_catalog.format('library %s, SQL objects %s', s.library, s.sql_version), 'ALTER EXTENSION behavpred UPDATE;'
  FROM settings s)
SELECT name, problems = 0 AS ok, problems, detail, CASE WHEN problems > 0 THEN hint END AS hint FROM checks;

COMMENT ON VIEW health IS
'One row a check over what you own and the server you are on: ok, the number of problems, what they are, and what to do';

CREATE VIEW storage AS
SELECT 'graph' AS kind, g.graph AS name, g.owner,
       (SELECT sum(pg_catalog.pg_total_relation_size(e.relation))
        FROM (VALUES (behavpred_internal.relation_named(g.user_embeddings)), (behavpred_internal.relation_named(g.object_embeddings))) AS e (relation)
        WHERE e.relation IS NOT NULL)::bigint AS embedding_bytes,
       (SELECT sum(pg_catalog.pg_column_size(m.*)) FROM trained_model m JOIN registered_target t ON t.target = m.target
        WHERE t.graph = g.graph)::bigint AS model_bytes,
       (SELECT sum(pg_catalog.pg_column_size(r.*)) FROM training_run r WHERE r.graph = g.graph)::bigint
         + coalesce((SELECT sum(pg_catalog.pg_column_size(e.*)) FROM training_epoch e JOIN training_run r ON r.run_id = e.run_id
                     WHERE r.graph = g.graph), 0)::bigint AS log_bytes,
       (SELECT sum(c.bytes) FROM training_checkpoint c JOIN training_run r ON r.run_id = c.run_id
        WHERE r.graph = g.graph)::bigint AS checkpoint_bytes,
       (SELECT n.bytes FROM trained_network n WHERE n.graph = g.graph) AS network_bytes
FROM registered_graph g WHERE behavpred_internal.sees_rows_of(g.owner)
UNION ALL
SELECT 'target', t.target, t.owner, NULL,
       (SELECT sum(pg_catalog.pg_column_size(m.*)) FROM trained_model m WHERE m.target = t.target)::bigint,
       (SELECT sum(pg_catalog.pg_column_size(r.*)) FROM training_run r WHERE r.target = t.target)::bigint, NULL, NULL
FROM registered_target t WHERE behavpred_internal.sees_rows_of(t.owner);

COMMENT ON VIEW storage IS
'Bytes of your graphs (embedding tables with their indexes; models, log and checkpoints of the graph and all its targets; the kept network) and targets (models and log of their own)';

-- ---------------------------------------------------------------------------
-- Change capture: which users and objects have new interactions, have lost some, or have other features
-- ---------------------------------------------------------------------------

CREATE TABLE change_capture (
  graph text PRIMARY KEY REFERENCES registered_graph ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  mode text NOT NULL CHECK (mode IN ('time', 'statement', 'row')),
  captured_since timestamptz NOT NULL DEFAULT now(),
  overlap interval NOT NULL,
  watermark timestamptz
);

-- Writers of interactions add rows and never touch others': a unique key would let writers of
-- the same user wait for each other, and a foreign key all of them lock the row of the graph. Keys are distinct within
-- a row; the reader joins rows.
CREATE TABLE changed_nodes (
  entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  graph text NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  queued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
  users text[],
  objects text[]
);

CREATE INDEX changed_nodes_graph ON changed_nodes (graph, entry);

COMMENT ON TABLE change_capture IS 'Graphs whose changes are captured, and how';
COMMENT ON SEQUENCE changed_nodes_entry_seq IS 'Numbers of entries, in their order';
COMMENT ON TABLE changed_nodes IS
'Queue of changes: keys of users and objects as text, up to 1,000 of either in a row; a row with neither stands for all. Written by triggers, emptied by run_refresh() and by trainings';
COMMENT ON INDEX changed_nodes_graph IS 'The queue of one graph, oldest first';

GRANT SELECT, INSERT, UPDATE, DELETE ON change_capture, changed_nodes TO PUBLIC;

ALTER TABLE change_capture ENABLE ROW LEVEL SECURITY;
ALTER TABLE changed_nodes ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON change_capture USING (owner = current_user);
CREATE POLICY own_rows ON changed_nodes USING (owner = current_user);
CREATE POLICY granted_training ON change_capture USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);
CREATE POLICY granted_training ON changed_nodes USING (behavpred_internal.privilege_on(owner, graph, NULL) >= 3);

COMMENT ON POLICY own_rows ON change_capture IS 'Every role sees and changes its own graphs';
COMMENT ON POLICY own_rows ON changed_nodes IS 'Every role sees and changes the queues of its own graphs';
COMMENT ON POLICY granted_training ON change_capture IS 'Trainers refresh for the owner';
COMMENT ON POLICY granted_training ON changed_nodes IS 'Trainers refresh for the owner';

SELECT pg_extension_config_dump('change_capture', '');
SELECT pg_extension_config_dump('changed_nodes', '');
SELECT pg_extension_config_dump('changed_nodes_entry_seq', '');

-- The interactions that count for a graph, as a condition on rows called `source`.
CREATE FUNCTION behavpred_internal.capture_filter(g registered_graph, relation regclass, source text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT concat_ws(' AND ',
    format('%1$s.%2$I IS NOT NULL AND %1$s.%3$I IS NOT NULL', source, g.user_column, g.object_column),
    CASE WHEN g.behavior_column IS NOT NULL
         THEN format('%s.%I::text = ANY (%L::text[])', source, g.behavior_column, g.behaviors) END,
    CASE WHEN g.value_column IS NOT NULL
         THEN format(CASE WHEN t.typcategory = 'T' THEN 'extract(epoch FROM %s.%I) >= %L::float8' ELSE '%s.%I >= %L::float8' END,
                     source, g.value_column, g.min_value) END)
  FROM (SELECT 1) one
  LEFT JOIN pg_attribute a ON a.attrelid = relation AND a.attname = g.value_column
  LEFT JOIN pg_type t ON t.oid = a.atttypid
$$;

COMMENT ON FUNCTION behavpred_internal.capture_filter(registered_graph, regclass, text) IS
'For capture_changes(): the condition for rows that are interactions of a graph';

-- What a graph is read from: its interactions, and the feature tables that it has.
CREATE FUNCTION behavpred_internal.capture_sources(g registered_graph, OUT source text, OUT name text, OUT relation regclass)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT s.source, s.name, behavpred_internal.relation_named(s.name)
  FROM (VALUES ('interactions', g.interactions), ('users', g.users), ('objects', g.objects)) AS s (source, name)
  WHERE s.name IS NOT NULL
$$;

COMMENT ON FUNCTION behavpred_internal.capture_sources(registered_graph) IS
'For capture_changes(): the relations that a graph is read from, NULL for one that is gone';

CREATE FUNCTION behavpred_internal.feature_key(relation regclass, key_column name, key_type text, argument text) RETURNS name
AS 'MODULE_PATHNAME', 'behavpred_feature_key' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION behavpred_internal.feature_key(regclass, name, text, text) IS
'For capture_changes(): the column of a feature table that holds the keys';

-- The columns that decide what a row is worth, keys first: a change of any other changes nothing.
CREATE FUNCTION behavpred_internal.capture_columns(g registered_graph, source text, relation regclass) RETURNS name[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT ARRAY(
    SELECT c.name FROM unnest(CASE source
      WHEN 'users' THEN behavpred_internal.feature_key(relation, g.user_column, g.user_key_type, source) || g.user_features
      WHEN 'objects' THEN behavpred_internal.feature_key(relation, g.object_column, g.object_key_type, source) || g.object_features
      ELSE ARRAY[g.user_column, g.object_column, g.behavior_column, g.value_column, g.weight_column,
                 CASE WHEN g.since IS NOT NULL THEN g.time_column END]
    END) WITH ORDINALITY AS c (name, place)
    WHERE c.name IS NOT NULL GROUP BY c.name ORDER BY min(c.place))
$$;

COMMENT ON FUNCTION behavpred_internal.capture_columns(registered_graph, text, regclass) IS
'For capture_changes(): the columns whose updates matter, keys first';

-- The rows that count, as a condition on rows called `alias`. A feature table may be keyed by a wider type than
-- the graph: a key that its vectors have no room for is nobody's.
CREATE FUNCTION behavpred_internal.capture_condition(g registered_graph, source text, relation regclass, columns name[], alias text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE
    WHEN source = 'interactions' THEN behavpred_internal.capture_filter(g, relation, alias)
    ELSE format(CASE CASE source WHEN 'users' THEN g.user_key_type ELSE g.object_key_type END
                  WHEN 'smallint' THEN '%s.%I BETWEEN -32768 AND 32767'
                  WHEN 'integer' THEN '%s.%I BETWEEN -2147483648 AND 2147483647'
                  ELSE '%s.%I IS NOT NULL' END, alias, columns[1]) END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_condition(registered_graph, text, regclass, name[], text) IS
'For capture_changes(): the condition for rows of a source that count for a graph';

-- The keys of users and of objects in a row, each put into a pattern with %I.
CREATE FUNCTION behavpred_internal.capture_keys(source text, columns name[], pattern text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT concat_ws(', ', CASE source WHEN 'objects' THEN 'NULL' ELSE format(pattern, columns[1]) END,
    CASE source WHEN 'users' THEN 'NULL' WHEN 'objects' THEN format(pattern, columns[1]) ELSE format(pattern, columns[2]) END)
$$;

COMMENT ON FUNCTION behavpred_internal.capture_keys(text, name[], text) IS
'For capture_changes(): the two expressions of a row''s keys, users first';

CREATE FUNCTION behavpred_internal.queue_changes(graph text, changed refcursor) RETURNS void
AS 'MODULE_PATHNAME', 'behavpred_queue_changes' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION behavpred_internal.queue_changes(text, refcursor) IS
'For capture_changes(): puts the distinct keys of a cursor''s rows, users in the first column and objects in the second, into the queue, a thousand in a row';

-- What queues one statement's changed rows, which are read once.
CREATE FUNCTION behavpred_internal.capture_rows(graph text, keys text, changed text, condition text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($statement$
      OPEN changed NO SCROLL FOR SELECT %2$s FROM %3$s x WHERE %4$s;
      PERFORM behavpred_internal.queue_changes(%1$L, changed);
      CLOSE changed;$statement$, graph, keys, changed, condition)
$$;

COMMENT ON FUNCTION behavpred_internal.capture_rows(text, text, text, text) IS
'For capture_changes(): the statement that queues the keys of changed rows';

-- What is done with the changes of one source.
CREATE FUNCTION behavpred_internal.capture_branch(g registered_graph, source text, relation regclass, mode text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE mode WHEN 'row' THEN format($branch$
    IF TG_OP <> 'INSERT' AND %2$s THEN
      INSERT INTO behavpred.changed_nodes (graph, users, objects) VALUES (%1$L, %3$s);
    END IF;
    IF TG_OP <> 'DELETE' AND %4$s THEN
      INSERT INTO behavpred.changed_nodes (graph, users, objects) VALUES (%1$L, %5$s);
    END IF;$branch$, g.graph,
    behavpred_internal.capture_condition(g, source, relation, c.columns, 'OLD'),
    behavpred_internal.capture_keys(source, c.columns, 'ARRAY[OLD.%I::text]'),
    behavpred_internal.capture_condition(g, source, relation, c.columns, 'NEW'),
    behavpred_internal.capture_keys(source, c.columns, 'ARRAY[NEW.%I::text]'))
  ELSE format($branch$
    IF TG_OP = 'INSERT' THEN%1$s
    ELSIF TG_OP = 'DELETE' THEN%2$s
    ELSE%3$s
    END IF;$branch$,
    behavpred_internal.capture_rows(g.graph, c.keys, 'new_rows', c.condition),
    behavpred_internal.capture_rows(g.graph, c.keys, 'old_rows', c.condition),
    behavpred_internal.capture_rows(g.graph, c.keys, format(
      '((SELECT %1$s FROM old_rows EXCEPT ALL SELECT %1$s FROM new_rows) UNION ALL '
      '(SELECT %1$s FROM new_rows EXCEPT ALL SELECT %1$s FROM old_rows))', c.list), c.condition)) END
  FROM (SELECT n.columns, behavpred_internal.capture_keys(source, n.columns, 'x.%I') AS keys,
               behavpred_internal.capture_condition(g, source, relation, n.columns, 'x') AS condition,
               (SELECT string_agg(CASE WHEN name = g.behavior_column THEN format('%1$I::text AS %1$I', name)
                                       ELSE quote_ident(name) END, ', ') FROM unnest(n.columns) name) AS list
        FROM (SELECT behavpred_internal.capture_columns(g, source, relation)) AS n (columns)) c
$$;

COMMENT ON FUNCTION behavpred_internal.capture_branch(registered_graph, text, regclass, text) IS
'For capture_changes(): the statements that queue the changes of one source';

-- What the triggers of a graph call, with the source that changed as their argument. The function belongs to the
-- owner of the graph and runs as him, not as whoever writes: writers need no privilege on the queue, and types or casts of
-- the table run as the one who registered it. A column that is gone must not stop the writers.
CREATE FUNCTION behavpred_internal.capture_body(g registered_graph, sources text[], mode text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format($function$
%1$sBEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO behavpred.changed_nodes (graph) VALUES (%2$L);
    RETURN NULL;
  END IF;
  CASE TG_ARGV[0]%3$s
  END CASE;
  RETURN NULL;
%4$sEND
$function$, CASE mode WHEN 'statement' THEN E'DECLARE\n  changed refcursor;\n' END, g.graph,
    (SELECT string_agg(format(E'\n  WHEN %L THEN', s.source) || behavpred_internal.capture_branch(g, s.source, s.relation, mode), '')
     FROM behavpred_internal.capture_sources(g) s WHERE s.source = ANY (sources)),
    CASE mode WHEN 'statement' THEN format($handler$EXCEPTION WHEN undefined_column OR undefined_table OR undefined_function OR datatype_mismatch THEN
  RAISE WARNING USING message = format('changes of %%s are not captured: %%s', TG_RELID::regclass, SQLERRM),
    hint = %L;
  RETURN NULL;
$handler$, format('As %I: SELECT behavpred.capture_changes(%L, %L);', g.owner, g.graph, mode)) END)
$$;

COMMENT ON FUNCTION behavpred_internal.capture_body(registered_graph, text[], text) IS
'For capture_changes(): the source of the function that the triggers of a graph call';

-- The table and, because triggers for statements fire for the relation that is named in
-- them only, every partition and every table that inherits from it. Triggers for rows are cloned by the server.
CREATE FUNCTION behavpred_internal.capture_relations(relation regclass, mode text) RETURNS SETOF regclass
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE tree (relation, partitioned) AS (
    SELECT c.oid, c.relkind = 'p' FROM pg_class c WHERE c.oid = $1
    UNION
    SELECT c.oid, t.partitioned FROM tree t JOIN pg_inherits i ON i.inhparent = t.relation JOIN pg_class c ON c.oid = i.inhrelid)
  SELECT t.relation::regclass FROM tree t JOIN pg_class c ON c.oid = t.relation
  WHERE c.relkind IN ('r', 'p') ORDER BY t.relation <> $1, t.relation::regclass::text
$$;

COMMENT ON FUNCTION behavpred_internal.capture_relations(regclass, text) IS
'For capture_changes(): the relations that need triggers of their own';

-- The triggers of a mode on one relation, dropped with the extension. The name of the source stands last, where no
-- other graph's name can lead to the same.
CREATE FUNCTION behavpred_internal.capture_attach(
  g registered_graph, source text, relation regclass, columns name[], mode text, function regproc) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  kind record;
  trigger name;
BEGIN
  FOR kind IN
    SELECT * FROM (VALUES
      ('insert', 'statement', 'INSERT', 'REFERENCING NEW TABLE AS new_rows', 'STATEMENT'),
      ('update', 'statement', 'UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows', 'STATEMENT'),
      ('delete', 'statement', 'DELETE', 'REFERENCING OLD TABLE AS old_rows', 'STATEMENT'),
      ('row', 'row', (SELECT 'INSERT OR DELETE OR UPDATE OF ' || string_agg(quote_ident(c), ', ') FROM unnest($4) c), '', 'ROW'),
      ('truncate', $5, 'TRUNCATE', '', 'STATEMENT')) AS k (name, mode, events, tables, level)
    WHERE k.mode = $5
  LOOP
    trigger := format('behavpred_%s_%s%s', g.graph, kind.name, CASE WHEN $2 <> 'interactions' THEN '_' || $2 END);
    -- The server has cloned the trigger for rows from the parent.
    CONTINUE WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = $3 AND t.tgname = trigger AND t.tgparentid <> 0);
    EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH %s EXECUTE FUNCTION %s(%L)',
                   trigger, kind.events, $3, kind.tables, kind.level, function, $2);
    EXECUTE format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION behavpred', trigger, $3);
    -- On a subscriber only such triggers fire.
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', $3, trigger);
  END LOOP;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_attach(registered_graph, text, regclass, name[], text, regproc) IS
'For capture_changes(): the triggers of a graph on one relation';

-- The function of a graph's triggers, and with it the triggers, on whichever tables they are.
CREATE FUNCTION behavpred_internal.drop_capture(graph text, keep_queue boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
#variable_conflict use_variable
DECLARE
  function regprocedure;
BEGIN
  FOR function IN
    SELECT p.oid FROM pg_proc p
    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'x'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'behavpred'
    WHERE p.proname = graph || '_capture' AND pg_has_role(p.proowner, 'USAGE')
  LOOP
    EXECUTE format('DROP FUNCTION %s CASCADE', function);
  END LOOP;
  DELETE FROM behavpred.changed_nodes n WHERE n.graph = graph AND n.owner = current_user AND NOT keep_queue;
  DELETE FROM behavpred.change_capture c WHERE c.graph = graph AND c.owner = current_user;
END
$$;

COMMENT ON FUNCTION behavpred_internal.drop_capture(text, boolean) IS
'For capture_changes() and drop_graph(): end the capture of a graph of yours, with its triggers and, unless keep_queue, its queue';

-- Why there can be no triggers of the caller's on a relation, NULL when there can.
CREATE FUNCTION behavpred_internal.capture_obstacle(name text, relation regclass, OUT code text, OUT message text, OUT detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  kind "char";
  owned boolean;
  distributed boolean := false;
BEGIN
  SELECT c.relkind, pg_has_role(c.relowner, 'USAGE') INTO kind, owned FROM pg_class c WHERE c.oid = relation;
  IF to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL THEN
    EXECUTE 'SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = $1)' INTO distributed USING relation;
  END IF;
  IF kind IS NULL THEN
    code := 'undefined_table';
    message := format('relation %s does not exist any more', name);
    detail := 'It has been dropped or renamed.';
  ELSIF kind NOT IN ('r', 'p') OR distributed THEN
    code := 'wrong_object_type';
    message := format(CASE WHEN distributed THEN '%s is distributed over servers' ELSE '%s is not a table' END, name);
    detail := 'Triggers see the changes of tables of this server only.';
  ELSIF NOT owned THEN
    code := 'insufficient_privilege';
    message := format('must be owner of table %s', name);
    detail := 'Triggers are created on it.';
  END IF;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_obstacle(text, regclass) IS
'For capture_changes(): why a relation cannot be captured by triggers, as parts of an error; NULL when it can';

-- The graph, whose owner must be the caller, and a mode that suits its interactions.
CREATE FUNCTION behavpred_internal.check_capture(graph text, mode text, overlap interval) RETURNS registered_graph
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  g behavpred.registered_graph;
  obstacle record;
BEGIN
  IF NOT coalesce(mode = ANY ('{none,time,statement,row}'), false) THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN mode IS NULL THEN 'mode must not be NULL' ELSE format('mode is "%s"', mode) END,
      detail = 'It is none, time, statement or row.',
      hint = format('SELECT behavpred.capture_changes(%L, ''statement'');', coalesce(graph, 'shop'));
  END IF;
  g := behavpred_internal.graph_named(graph);
  IF g.owner <> current_user THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('graph "%s" is owned by "%s"', graph, g.owner),
      detail = 'Its changes are captured as its owner.', hint = format('SET ROLE %I;', g.owner);
  END IF;
  IF mode = 'none' THEN
    RETURN g;
  END IF;
  obstacle := behavpred_internal.capture_obstacle(g.interactions, behavpred_internal.relation_named(g.interactions));
  IF obstacle.code = 'undefined_table' OR mode <> 'time' AND obstacle.code IS NOT NULL THEN
    RAISE EXCEPTION USING errcode = obstacle.code, message = obstacle.message, detail = obstacle.detail,
      hint = format(CASE obstacle.code
        WHEN 'undefined_table' THEN 'Give the relation its name back, or create the graph anew.'
        WHEN 'wrong_object_type' THEN 'By the time of interactions: SELECT behavpred.capture_changes(%L, ''time'');'
        ELSE 'Its owner creates the graph, or: SELECT behavpred.capture_changes(%L, ''time'');' END, graph);
  END IF;
  IF mode = 'time' THEN
    IF g.time_column IS NULL THEN
      RAISE EXCEPTION USING errcode = 'object_not_in_prerequisite_state',
        message = format('graph "%s" has no time_column', graph),
        detail = 'Mode time finds changes by the time of interactions.',
        hint = 'Create the graph with time_column => ..., or capture by statement.';
    END IF;
    IF overlap IS NULL OR overlap < interval '0' THEN
      RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
        message = CASE WHEN overlap IS NULL THEN 'overlap must not be NULL' ELSE format('overlap is %s', overlap) END,
        detail = 'It is how much later than its time a row may be committed, from 0 on.',
        hint = 'Leave it out for 5 minutes.';
    END IF;
  END IF;
  RETURN g;
END
$$;

COMMENT ON FUNCTION behavpred_internal.check_capture(text, text, interval) IS
'For capture_changes(): complains about a graph or a mode that cannot be captured';

-- The sources of a graph that can have triggers, locked: nobody adds a row between the look at a table and the first trigger.
CREATE FUNCTION behavpred_internal.capture_lock(g registered_graph) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  s record;
  obstacle record;
  sources text[] := '{}';
BEGIN
  FOR s IN SELECT * FROM behavpred_internal.capture_sources(g) LOOP
    obstacle := behavpred_internal.capture_obstacle(s.name, s.relation);
    IF obstacle.code IS NULL THEN
      EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', s.relation);
      sources := sources || s.source;
    ELSE
      RAISE WARNING USING errcode = obstacle.code, message = format('features of %s are not captured: %s', s.source, obstacle.message),
        detail = obstacle.detail,
        hint = format('After a change of them: SELECT * FROM behavpred.refresh(%L, %s => ''{...}'');', g.graph, s.source);
    END IF;
  END LOOP;
  RETURN sources;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_lock(registered_graph) IS
'For capture_changes(): locks the sources of a graph that can have triggers, returns which, and warns of feature tables that cannot';

-- All triggers of one source. Returns the relations that have some now.
CREATE FUNCTION behavpred_internal.capture_source(g registered_graph, source text, relation regclass, mode text, function regproc)
RETURNS regclass[]
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  relations regclass[] := ARRAY(SELECT behavpred_internal.capture_relations(relation, mode));
  columns name[] := behavpred_internal.capture_columns(g, source, relation);
  each regclass;
BEGIN
  FOREACH each IN ARRAY relations LOOP
    PERFORM behavpred_internal.capture_attach(g, source, each, columns, mode, function);
  END LOOP;
  IF mode = 'statement' AND EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = ANY (relations)) THEN
    RAISE WARNING USING message = format('rows that replication brings into %s are not captured', relation),
      detail = 'A subscription applies them row by row, and triggers for statements do not fire.',
      hint = format('SELECT behavpred.capture_changes(%L, ''row'');', g.graph);
  END IF;
  RETURN relations;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_source(registered_graph, text, regclass, text, regproc) IS
'For capture_changes(): the triggers of one source of a graph, on its table and all partitions';

-- The function that the triggers call, in the schema of the interactions.
CREATE FUNCTION behavpred_internal.capture_function(g registered_graph, sources text[], mode text) RETURNS regproc
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  function text;
  propagates text;
BEGIN
  SELECT format('%I.%I', n.nspname, g.graph || '_capture') INTO function
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = behavpred_internal.relation_named(g.interactions);
  -- Where Citus sends functions to its workers, they may not depend on an extension.
  propagates := current_setting('citus.enable_ddl_propagation', true);
  IF propagates IS NOT NULL THEN
    PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
  END IF;
  EXECUTE format('CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L',
                 function, behavpred_internal.capture_body(g, sources, mode));
  EXECUTE format('REVOKE EXECUTE ON FUNCTION %s() FROM PUBLIC', function);
  EXECUTE format('ALTER FUNCTION %s() DEPENDS ON EXTENSION behavpred', function);
  EXECUTE format('COMMENT ON FUNCTION %s() IS %L', function, format('Queues the changes of graph "%s"', g.graph));
  IF propagates IS NOT NULL THEN
    PERFORM set_config('citus.enable_ddl_propagation', propagates, true);
  END IF;
  RETURN function::regproc;
END
$$;

COMMENT ON FUNCTION behavpred_internal.capture_function(registered_graph, text[], text) IS
'For capture_changes(): makes the function that the triggers of a graph call';

CREATE FUNCTION capture_changes(graph text, mode text DEFAULT 'statement', overlap interval DEFAULT '5 minutes')
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  g behavpred.registered_graph := behavpred_internal.check_capture(graph, mode, overlap);
  sources text[];
  function regproc;
  relations bigint := 0;
  latest timestamptz;
BEGIN
  PERFORM behavpred_internal.drop_capture(graph, mode <> 'none');
  IF mode = 'none' THEN
    RETURN 0;
  END IF;
  IF mode = 'time' THEN
    -- What is loaded tonight may be of yesterday: the latest row counts, not the clock.
    EXECUTE format('SELECT least(max(%I)::timestamptz, now()) FROM %s', g.time_column,
                   behavpred_internal.relation_named(g.interactions)) INTO latest;
  ELSE
    sources := behavpred_internal.capture_lock(g);
    function := behavpred_internal.capture_function(g, sources, mode);
    SELECT count(DISTINCT r.relation) INTO relations
    FROM behavpred_internal.capture_sources(g) s
    CROSS JOIN LATERAL unnest(behavpred_internal.capture_source(g, s.source, s.relation, mode, function)) AS r (relation)
    WHERE s.source = ANY (sources);
  END IF;
  INSERT INTO behavpred.change_capture (graph, mode, overlap, watermark)
  VALUES (graph, mode, overlap, latest);
  RETURN relations;
END
$$;

COMMENT ON FUNCTION capture_changes(text, text, interval) IS
'Queue the users and objects of a graph whose interactions or features change from now on, for run_refresh(). For the owner of the graph, who for statement and row must own the table of interactions; feature tables that he does not own, and those that are views or foreign tables, are passed over with a warning.
mode: statement (default): triggers for each statement, which see INSERT, COPY, UPDATE of the columns that count, DELETE, TRUNCATE and MERGE, on the table and each of its partitions (call it again for partitions that come later); row: a trigger for each row, which also sees rows that logical replication applies, at several times the cost; time: no trigger, run_refresh() looks for rows by time_column, which also works for views and foreign tables, and misses changes of features, deleted rows, changes of old rows, and rows committed later than overlap after their time; none: end it. overlap: for time, from 0 on.
Result: the number of relations that have triggers. What changed before is not captured: it is in the next training.';

REVOKE EXECUTE ON FUNCTION capture_changes(text, text, interval) FROM PUBLIC;

-- Partitions and heirs that came after capture_changes(), and feature tables that have no triggers.
CREATE FUNCTION behavpred_internal.uncaptured_relations(graph text) RETURNS regclass[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(array_agg(DISTINCT r.relation), '{}')
  FROM behavpred.registered_graph g
  JOIN behavpred.change_capture c ON c.graph = g.graph AND c.owner = g.owner
  CROSS JOIN LATERAL behavpred_internal.capture_sources(g) s
  CROSS JOIN LATERAL (SELECT s.relation UNION SELECT behavpred_internal.capture_relations(s.relation, c.mode)) r (relation)
  WHERE g.graph = $1 AND r.relation IS NOT NULL AND NOT (c.mode = 'time' AND s.source = 'interactions') AND NOT EXISTS (
    SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = r.relation AND p.proname = g.graph || '_capture' AND t.tgenabled IN ('A', 'O')
      AND t.tgargs = s.source::bytea || '\x00'::bytea AND (t.tgtype & 1 = 1) = (c.mode = 'row'))
$$;

COMMENT ON FUNCTION behavpred_internal.uncaptured_relations(text) IS
'For the view freshness: relations of a captured graph whose changes are missed';

CREATE VIEW freshness AS
SELECT g.graph, g.owner, coalesce(c.mode, 'none') AS capture, c.captured_since, c.watermark,
       q.oldest, q.entries, q.users, q.objects, q.everything,
       behavpred_internal.uncaptured_relations(g.graph) AS uncaptured, r.finished_at AS trained_at
FROM registered_graph g
LEFT JOIN change_capture c ON c.graph = g.graph AND c.owner = g.owner
LEFT JOIN training_run r ON r.run_id = g.trained_run
CROSS JOIN LATERAL (
  SELECT min(n.queued_at) AS oldest, count(*) AS entries,
         (SELECT count(DISTINCT k) FROM changed_nodes m CROSS JOIN LATERAL unnest(m.users) k WHERE m.graph = g.graph AND m.owner = g.owner) AS users,
         (SELECT count(DISTINCT k) FROM changed_nodes m CROSS JOIN LATERAL unnest(m.objects) k WHERE m.graph = g.graph AND m.owner = g.owner) AS objects,
         coalesce(bool_or(n.users IS NULL AND n.objects IS NULL), false) AS everything
  FROM changed_nodes n WHERE n.graph = g.graph AND n.owner = g.owner) q
WHERE behavpred_internal.sees_target(g.owner, g.graph, NULL, 3);

COMMENT ON VIEW freshness IS
'How fresh the vectors of your graphs are: how changes are captured and since when, up to which time mode time has looked; the queue: its oldest entry, distinct users and objects, everything when the table was truncated; uncaptured: relations whose changes are missed (call capture_changes() again, unless they are features that no trigger can see); the last training';

-- ---------------------------------------------------------------------------
-- Past one machine: partitions, foreign tables, shards
-- ---------------------------------------------------------------------------

CREATE FUNCTION train_graph(
  graph text, embeddings_table regclass,
  dimension int DEFAULT 64, factors int DEFAULT 4, layers int DEFAULT 2,
  routing_iterations int DEFAULT 2,
  epochs int DEFAULT NULL, batch_size int DEFAULT NULL, learning_rate float8 DEFAULT NULL,
  negatives int DEFAULT NULL, temperature float8 DEFAULT NULL, patience int DEFAULT NULL,
  validation_fraction float8 DEFAULT NULL, seed bigint DEFAULT NULL, threads int DEFAULT NULL,
  options jsonb DEFAULT NULL,
  OUT run_id bigint, OUT epochs_run int, OUT best_epoch int, OUT loss float8,
  OUT recall_at_20 float8, OUT ndcg_at_20 float8,
  OUT user_embeddings text, OUT object_embeddings text, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_train_graph_into' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION train_graph(text, regclass, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb) IS
'train_graph() that writes the vectors of users to a table of yours, which the graph keeps for later trainings; for its owner.
embeddings_table: an ordinary, partitioned, foreign or distributed table with the graph''s user column, in the type of the interactions, and the columns embedding real[] and degree integer; its rows are replaced. drop_graph() leaves it, unless it is an ordinary table with the name that a training gives.
All else as with train_graph().';

CREATE FUNCTION logit(model model, embedding real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_logit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION logit(model, real[]) IS
'What score() calibrates: the raw logit, any number, by which audience() orders users; where a calibration has steps it still tells them apart. Pure, as score()';

REVOKE EXECUTE ON FUNCTION
  train_graph(text, regclass, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb)
FROM PUBLIC;

CREATE FUNCTION behavpred_internal.student_sums_add(sums bytea, plan bytea, embedding real[], label float8, soft_label float8, weight float8)
RETURNS bytea AS 'MODULE_PATHNAME', 'behavpred_student_sums_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION behavpred_internal.student_sums_merge(sums bytea, other bytea) RETURNS bytea
AS 'MODULE_PATHNAME', 'behavpred_student_sums_merge' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE behavpred_internal.student_sums(plan bytea, embedding real[], label float8, soft_label float8, weight float8) (
  SFUNC = behavpred_internal.student_sums_add, STYPE = bytea, SSPACE = 20000, COMBINEFUNC = behavpred_internal.student_sums_merge, PARALLEL = SAFE);

COMMENT ON FUNCTION behavpred_internal.student_sums_add(bytea, bytea, real[], float8, float8, float8) IS 'One sample more; a part of student_sums()';
COMMENT ON FUNCTION behavpred_internal.student_sums_merge(bytea, bytea) IS 'The sums of two sets of samples; a part of student_sums()';
COMMENT ON AGGREGATE behavpred_internal.student_sums(bytea, real[], float8, float8, float8) IS
'What one step of train_student() needs of the samples: loss, gradient and Hessian at the parameters of the plan. Its state passes between parallel workers and servers';

CREATE FUNCTION behavpred_internal.is_drawn(user_id anyelement, degree int, seed bigint, graph_seed bigint, target_fraction real, share float8, shielded_share float8)
RETURNS boolean AS 'MODULE_PATHNAME', 'behavpred_is_drawn' LANGUAGE C IMMUTABLE PARALLEL SAFE;

COMMENT ON FUNCTION behavpred_internal.is_drawn(anyelement, int, bigint, bigint, real, float8, float8) IS
'For train_target() on partitions, foreign tables and shards: is the user among the first in the order in which negatives are drawn, by these shares of the users who are not, and who are, shielded from targets?';

CREATE FUNCTION train_student(
  samples regclass, model text DEFAULT 'logistic', hidden int[] DEFAULT NULL, soft_weight float8 DEFAULT 0.5,
  by_statements boolean DEFAULT NULL, seed bigint DEFAULT NULL, threads int DEFAULT NULL, options jsonb DEFAULT NULL,
  OUT trained model, OUT n bigint, OUT positive_rate float8, OUT went_by_statements boolean, OUT statements int,
  OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_train_student' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION train_student(regclass, text, int[], float8, boolean, bigint, int, jsonb) IS
'Train a model of your own samples: all rows of a relation with the columns embedding (real[]), label (boolean, or 0 and 1) and, if you like, soft_label (0 to 1) and weight (at least 0); rows with a NULL do not count.
model: logistic or mlp, with hidden layers of the widths in hidden. soft_weight: of the soft labels, 0 to 1.
by_statements: true: one statement for each step, which sums over the samples where they are, in parallel workers, partitions and servers, and holds nothing but the sums; false: the samples are read into memory; default: by statements when they lie in a partitioned, foreign or distributed relation or would not fit into behavpred.max_memory. A logistic model is the same up to rounding; an mlp is fitted to all samples at once by L-BFGS (options: iterations) instead of by batches (options: epochs, batch_size, learning_rate).
seed, threads: default behavpred.seed, behavpred.threads. options: soft_temperature, ridge, anchored (false), iterations and the above.
Result: the model for score(), uncalibrated: probabilities are those of the samples; samples, their rate of positives, how it went, statements, seconds.';

REVOKE EXECUTE ON FUNCTION
  train_student(regclass, text, int[], float8, boolean, bigint, int, jsonb)
FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Refresh: vectors of new users and objects, and of those with new interactions, without a training
-- ---------------------------------------------------------------------------

CREATE FUNCTION embed(graph text, neighbours anyarray, weights real[] DEFAULT NULL, features jsonb DEFAULT NULL,
  as_object boolean DEFAULT false)
RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embed' LANGUAGE C STABLE;

COMMENT ON FUNCTION embed(text, anyarray, real[], jsonb, boolean) IS
'The vector that a user with these objects and features would have, computed by the last training of the graph; nothing is stored. The user need not exist: score it by dot() with vectors of objects, or by score() with a model.
neighbours: keys of objects, in their own type or as text[]; those that the training did not know are left out, repeats count once (with weights: together). weights: one for each, finite and >= 0, as the weights of interactions are; default all 1. features: an object with the columns of the graph''s table of users as members, those left out count as NULL; only for graphs with features of users (of objects with as_object). as_object: true for the vector of an object with these users.
Result: as many numbers as stored vectors have, NULL when the graph knows none of the neighbours and no features are given.';

-- A bare '{1,2,3}' has no type that would tell which array it is.
CREATE FUNCTION embed(graph text, neighbours text, weights real[] DEFAULT NULL, features jsonb DEFAULT NULL,
  as_object boolean DEFAULT false)
RETURNS real[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT behavpred.embed(graph, neighbours::text[], weights, features, as_object) $$;

COMMENT ON FUNCTION embed(text, text, real[], jsonb, boolean) IS 'The same, the keys as the text of an array, such as ''{1,2,3}''';

CREATE FUNCTION refresh(graph text, users text[] DEFAULT NULL, objects text[] DEFAULT NULL,
  OUT users_refreshed bigint, OUT users_added bigint, OUT users_removed bigint,
  OUT objects_refreshed bigint, OUT objects_added bigint, OUT objects_removed bigint,
  OUT left_out bigint, OUT interactions_read bigint, OUT seconds float8)
RETURNS record
AS 'MODULE_PATHNAME', 'behavpred_refresh' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION refresh(text, text[], text[]) IS
'Write the vectors of these users and objects anew from all their interactions as they are now, folded into the last training, objects first. For the owner of the graph and who was granted train.
users, objects: keys as text, each once; NULL means none.
Result: vectors written, and of them those of nodes that had none; vectors removed because their node has no interaction and no row of features any more; nodes left out because none of their neighbours has a vector; rows of interactions read; seconds.';

REVOKE EXECUTE ON FUNCTION refresh(text, text[], text[]) FROM PUBLIC;

CREATE PROCEDURE run_refresh(graph text, max_seconds float8 DEFAULT NULL, batch int DEFAULT 10000, neighbours boolean DEFAULT false)
AS 'MODULE_PATHNAME', 'behavpred_run_refresh' LANGUAGE C;

COMMENT ON PROCEDURE run_refresh(text, float8, int, boolean) IS
'Empty the queue of changes that capture_changes() fills, oldest first: users get their vectors anew, new objects get their first, users without an interaction and a row of features lose theirs. Objects that have a vector keep it until the next training, unless neighbours is true. Each batch is a transaction of its own; what is not done when max_seconds have passed, or after an error, stays in the queue. Several may run at a time, also beside a training. Not inside a transaction block or a function.
max_seconds: from 0 on, default until the queue is empty. batch: about how many users in a transaction, 100 to 1000000, default 10000; ten times as many when no index begins with the user column, because each batch is then a scan of the interactions. neighbours: true computes anew the vectors of the objects at the other end of changed interactions, too.
Result: a notice with what was done and how interactions were read.';

REVOKE EXECUTE ON PROCEDURE run_refresh(text, float8, int, boolean) FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Monitoring: quality over time, one number a row, as Grafana and Metabase draw it
-- ---------------------------------------------------------------------------

CREATE VIEW quality_history AS
SELECT r.finished_at AS at, r.graph, NULL::text AS target, r.run_id, NULL::int AS version, x.metric, x.value, NULL::float8 AS low, NULL::float8 AS high
FROM runs r
CROSS JOIN LATERAL (VALUES
  ('recall_at_20', (r.result ->> 'recall_at_20')::float8), ('ndcg_at_20', (r.result ->> 'ndcg_at_20')::float8), ('loss', (r.result ->> 'loss')::float8),
  ('users', (r.result ->> 'users')::float8), ('objects', (r.result ->> 'objects')::float8), ('edges', (r.result ->> 'edges')::float8),
  ('seconds', r.seconds), ('peak_bytes', r.peak_bytes::float8)) AS x (metric, value)
WHERE r.target IS NULL AND r.status = 'done' AND x.value IS NOT NULL
UNION ALL
SELECT m.trained_at, t.graph, m.target, m.run_id, m.version, q.metric, q.value, q.low, q.high
FROM models m
JOIN targets t ON t.target = m.target
JOIN metrics q ON q.target = m.target AND q.version = m.version;

COMMENT ON VIEW quality_history IS 'What each training that you may read came to, one number a row with its time: of graphs (target is NULL) quality on held-out edges, sizes, seconds and bytes; of targets the metrics of each version, low to high as in the view metrics';

-- ---------------------------------------------------------------------------
-- Who may do what
-- ---------------------------------------------------------------------------

-- Every view of the extension is read by everyone, with the reader's own privileges.
DO $$
DECLARE
  view_name name;
BEGIN
  FOR view_name IN
    SELECT relname FROM pg_catalog.pg_class
    WHERE relnamespace = 'behavpred'::pg_catalog.regnamespace AND relkind = 'v'
  LOOP
    IF pg_catalog.current_setting('server_version_num')::int >= 150000 THEN
      EXECUTE pg_catalog.format('ALTER VIEW behavpred.%I SET (security_invoker = true)', view_name);
    END IF;
    EXECUTE pg_catalog.format('GRANT SELECT ON behavpred.%I TO PUBLIC', view_name);
  END LOOP;
END
$$;

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

CREATE OR REPLACE FUNCTION demo_data(
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

-- ---------------------------------------------------------------------------
-- report_html(): a target's model on one page that needs nothing beside itself. Charts are
-- SVG, drawn into a frame {left, right, bottom, top} of values; whatever comes from users
-- passes report_escape().
-- ---------------------------------------------------------------------------

CREATE FUNCTION behavpred_internal.report_escape(words text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT replace(replace(replace(replace(replace(regexp_replace(words, E'[\\x01-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]', ' ', 'g'),
    '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;')
$$;
COMMENT ON FUNCTION behavpred_internal.report_escape(text) IS 'For report_html(): text that may stand between tags and in attributes';

CREATE FUNCTION behavpred_internal.report_percent(share float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT behavpred_internal.card_number(100 * share) || ' %' $$;
COMMENT ON FUNCTION behavpred_internal.report_percent(float8) IS 'For report_html(): a share in percent';

-- ---- charts ---------------------------------------------------------------

-- From values to the plot's 310 by 198 units.
CREATE FUNCTION behavpred_internal.report_place(frame float8[], x float8, y float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT round((70 + 310 * (x - frame[1]) / nullif(frame[2] - frame[1], 0))::numeric, 1) || ','
      || round((212 - 198 * (y - frame[3]) / nullif(frame[4] - frame[3], 0))::numeric, 1)
$$;
COMMENT ON FUNCTION behavpred_internal.report_place(float8[], float8, float8) IS 'For report_html(): a point of a chart in the units of its drawing';

CREATE FUNCTION behavpred_internal.report_line(frame float8[], x float8[], y float8[], class text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<polyline class="%s" points="%s"/>', class, string_agg(behavpred_internal.report_place(frame, p.x, p.y), ' ' ORDER BY p.place))
  FROM unnest(x, y) WITH ORDINALITY AS p (x, y, place) WHERE p.x IS NOT NULL AND p.y IS NOT NULL
$$;
COMMENT ON FUNCTION behavpred_internal.report_line(float8[], float8[], float8[], text) IS 'For report_html(): a line through points';

CREATE FUNCTION behavpred_internal.report_dots(frame float8[], x float8[], y float8[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT string_agg(format('<circle class="dot" r="3.5" cx="%s" cy="%s"/>', split_part(d.place, ',', 1), split_part(d.place, ',', 2)), '')
  FROM unnest(x, y) AS p (x, y), LATERAL (SELECT behavpred_internal.report_place(frame, p.x, p.y) AS place) AS d
$$;
COMMENT ON FUNCTION behavpred_internal.report_dots(float8[], float8[], float8[]) IS 'For report_html(): a dot at each point';

CREATE FUNCTION behavpred_internal.report_band(frame float8[], x float8[], low float8[], high float8[], class text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<polygon class="%s" points="%s %s"/>', class,
                string_agg(behavpred_internal.report_place(frame, p.x, least(p.high, frame[4])), ' ' ORDER BY p.place),
                string_agg(behavpred_internal.report_place(frame, p.x, p.low), ' ' ORDER BY p.place DESC))
  FROM unnest(x, low, high) WITH ORDINALITY AS p (x, low, high, place) WHERE p.low IS NOT NULL AND p.high IS NOT NULL
$$;
COMMENT ON FUNCTION behavpred_internal.report_band(float8[], float8[], float8[], float8[], text) IS 'For report_html(): the area between two lines, such as an interval';

-- Round numbers within a range, four steps or so.
CREATE FUNCTION behavpred_internal.report_ticks(low float8, high float8) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT array_agg(round((tick * step)::numeric, 12)::float8 ORDER BY tick)
  FROM (SELECT power(10, floor(log(rough))) * CASE WHEN rough / power(10, floor(log(rough))) < 1.5 THEN 1
                 WHEN rough / power(10, floor(log(rough))) < 3.5 THEN 2 ELSE 5 END AS step
        FROM (SELECT (high - low) / 4 AS rough WHERE high > low) AS r) AS s,
    generate_series(ceil(low / step - 1e-9)::bigint, floor(high / step + 1e-9)::bigint) AS tick
$$;
COMMENT ON FUNCTION behavpred_internal.report_ticks(float8, float8) IS 'For report_html(): round numbers for an axis';

-- A chart with axes; marks are drawn already. Positions and labels of the ticks are the
-- caller's, so that an axis may be logarithmic.
CREATE FUNCTION behavpred_internal.report_chart(frame float8[], x_at float8[], x_labels text[], y_at float8[], y_labels text[],
                             x_title text, y_title text, marks text, description text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT concat(
    format('<svg viewBox="0 0 400 264" role="img" aria-label="%s"><title>%1$s</title>', behavpred_internal.report_escape(description)),
    (SELECT string_agg(format('<line class="grid" x1="70" x2="380" y1="%1$s" y2="%1$s"/><text class="tick" text-anchor="end" x="64" y="%2$s">%3$s</text>',
              split_part(t.place, ',', 2), split_part(t.place, ',', 2)::numeric + 4.5, behavpred_internal.report_escape(t.label)), '')
     FROM (SELECT behavpred_internal.report_place(frame, frame[1], t.y) AS place, t.label FROM unnest(y_at, y_labels) AS t (y, label)) AS t),
    (SELECT string_agg(format('<text class="tick" text-anchor="middle" x="%s" y="230">%s</text>',
              split_part(t.place, ',', 1), behavpred_internal.report_escape(t.label)), '')
     FROM (SELECT behavpred_internal.report_place(frame, t.x, frame[3]) AS place, t.label FROM unnest(x_at, x_labels) AS t (x, label)) AS t),
    '<line class="axis" x1="70" x2="380" y1="212" y2="212"/>', marks,
    format('<text class="label" text-anchor="middle" x="225" y="253">%s</text>', behavpred_internal.report_escape(x_title)),
    format('<text class="label" text-anchor="middle" transform="translate(13 113) rotate(-90)">%s</text></svg>', behavpred_internal.report_escape(y_title)))
$$;
COMMENT ON FUNCTION behavpred_internal.report_chart(float8[], float8[], text[], float8[], text[], text, text, text, text) IS 'For report_html(): axes around what is drawn already';

-- Both axes from 0 to the same end, in percent, with the diagonal.
CREATE FUNCTION behavpred_internal.report_square(top float8, x_title text, y_title text, marks text, description text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_chart(ARRAY[0, top, 0, top], t.at, t.labels, t.at, t.labels, x_title, y_title,
           behavpred_internal.report_line(ARRAY[0, top, 0, top], ARRAY[0, top], ARRAY[0, top], 'reference') || marks, description)
  FROM (SELECT array_agg(tick) AS at, array_agg(behavpred_internal.report_percent(tick)) AS labels
        FROM unnest(behavpred_internal.report_ticks(0, top)) AS tick) AS t
$$;
COMMENT ON FUNCTION behavpred_internal.report_square(float8, text, text, text, text) IS 'For report_html(): a chart of two shares, with its diagonal';

CREATE FUNCTION behavpred_internal.report_card(title text, reading text, body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT format(E'<section class="card"><h2>%s</h2><p>%s</p>%s</section>\n', behavpred_internal.report_escape(title), behavpred_internal.report_escape(reading), body) $$;
COMMENT ON FUNCTION behavpred_internal.report_card(text, text, text) IS 'For report_html(): a part of the page with a title and a sentence; the body is HTML already';

CREATE FUNCTION behavpred_internal.report_legend(names text[], classes text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT '<p class="legend">' || string_agg(format('<span><i class="%s"></i>%s</span>', l.class, behavpred_internal.report_escape(l.name)), ' ' ORDER BY l.place) || '</p>'
  FROM unnest(names, classes) WITH ORDINALITY AS l (name, class, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_legend(text[], text[]) IS 'For report_html(): which colour is what';

CREATE FUNCTION behavpred_internal.report_rows(heads text[], cells text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT '<div class="wide"><table><thead><tr>' || (SELECT string_agg('<th>' || behavpred_internal.report_escape(h) || '</th>', '' ORDER BY n) FROM unnest(heads) WITH ORDINALITY AS u (h, n))
    || '</tr></thead><tbody>' || string_agg(CASE WHEN (place - 1) % array_length(heads, 1) = 0 THEN '<tr>' ELSE '' END
         || '<td>' || coalesce(behavpred_internal.report_escape(cell), '') || '</td>'
         || CASE WHEN place % array_length(heads, 1) = 0 THEN '</tr>' ELSE '' END, '' ORDER BY place) || '</tbody></table></div>'
  FROM unnest(cells) WITH ORDINALITY AS c (cell, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_rows(text[], text[]) IS 'For report_html(): a table, its cells row by row';

-- ---- parts of the page ----------------------------------------------------

-- Reading the sources is for those who may; for others the part says why it is empty.
CREATE FUNCTION behavpred_internal.report_audience(target text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  frame float8[] := '{-3,0,0,1}';
  drawing text;
  listing text;
  reading text;
BEGIN
  WITH curve AS MATERIALIZED (
    SELECT c.*, sum(c.expected_positives) FILTER (WHERE c.fraction = 1) OVER () AS expected_all
    FROM behavpred.audience_curve(target) c WHERE c.size > 0
  ), points AS (
    SELECT array_agg(log(fraction) ORDER BY size) AS x, array_agg(recall ORDER BY size) AS y, array_agg(fraction ORDER BY size) AS chance,
           array_agg(positives_low / expected_all ORDER BY size) AS low, array_agg(positives_high / expected_all ORDER BY size) AS high
    FROM (SELECT DISTINCT ON (size) * FROM curve ORDER BY size, fraction) AS c
  )
  SELECT behavpred_internal.report_chart(frame, '{-3,-2,-1,0}', '{0.1 %,1 %,10 %,100 %}', '{0,0.25,0.5,0.75,1}', '{0 %,25 %,50 %,75 %,100 %}',
           'share of the users in the audience', 'share of all who will act',
           concat(behavpred_internal.report_band(frame, x, low, high, 'band'), behavpred_internal.report_line(frame, x, chance, 'reference'),
                  behavpred_internal.report_line(frame, x, y, 'first')), 'Share of those who will act that audiences of each size hold'),
         behavpred_internal.report_rows('{users,probability of the last,expected to act,95 % interval,lift}', (
           SELECT array_agg(cell ORDER BY c.size, n) FROM curve c, unnest(ARRAY[
             behavpred_internal.card_number(c.size), behavpred_internal.report_percent(c.threshold), behavpred_internal.card_number(c.expected_positives),
             behavpred_internal.card_number(c.positives_low) || ' to ' || behavpred_internal.card_number(c.positives_high), behavpred_internal.card_number(c.lift)]) WITH ORDINALITY AS u (cell, n))),
         (SELECT format('The best %s users (%s) are expected to hold %s of those who will act, %s times as many as users drawn at random.',
                   behavpred_internal.card_number(size), behavpred_internal.report_percent(fraction), behavpred_internal.report_percent(recall), behavpred_internal.card_number(recall / fraction))
          FROM curve ORDER BY abs(fraction - 0.1) LIMIT 1)
  INTO drawing, listing, reading FROM points;
  RETURN behavpred_internal.report_card('Audience', reading,
           drawing || behavpred_internal.report_legend('{model,95 % interval,at random}', '{first,band,reference}') || listing);
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state OR undefined_table THEN
  RETURN behavpred_internal.report_card('Audience', 'Not drawn: ' || SQLERRM || '.', '');
END
$$;
COMMENT ON FUNCTION behavpred_internal.report_audience(text) IS 'For report_html(): audience_curve()';

CREATE FUNCTION behavpred_internal.report_roc(target text, version int, auc json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Who acts before who does not',
    format('AUC %s, 95 %% interval %s to %s: so often does a user who acted score above one who did not.%s', behavpred_internal.card_text(auc -> 'value'),
           behavpred_internal.card_text(auc -> 'low'), behavpred_internal.card_text(auc -> 'high'),
           ' By the number of interactions alone it is ' || behavpred_internal.card_number((auc ->> 'popularity')::float8) || '.'),
    behavpred_internal.report_square(1, 'share of those who did not act', 'share of those who acted',
      behavpred_internal.report_line('{0,1,0,1}', 0::float8 || array_agg(r.false_positive_rate ORDER BY r.fraction) || 1::float8,
                            0::float8 || array_agg(r.true_positive_rate ORDER BY r.fraction) || 1::float8, 'first'), 'ROC curve')
    || behavpred_internal.report_legend('{model,at random}', '{first,reference}'))
  FROM behavpred.roc_curve(target, 200, version) r
$$;
COMMENT ON FUNCTION behavpred_internal.report_roc(text, int, json) IS 'For report_html(): roc_curve()';

CREATE FUNCTION behavpred_internal.report_calibration(method text, ece json, bins json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH b AS (SELECT b.*, least(1, 1.08 * max(greatest(b.probability, b.high)) OVER ()) AS top
             FROM json_to_recordset(bins) AS b (probability float8, rate float8, low float8, high float8))
  SELECT behavpred_internal.report_card('Are the probabilities true?',
    format('Mean distance of probability and rate (ECE): %s, 95 %% interval %s to %s. Method: %s.', behavpred_internal.card_text(ece -> 'value'),
           behavpred_internal.card_text(ece -> 'low'), behavpred_internal.card_text(ece -> 'high'), method),
    behavpred_internal.report_square(max(b.top), 'probability', 'share who acted', string_agg(
      behavpred_internal.report_line(ARRAY[0, b.top, 0, b.top], ARRAY[b.probability, b.probability], ARRAY[b.low, b.high], 'whisker')
      || behavpred_internal.report_dots(ARRAY[0, b.top, 0, b.top], ARRAY[b.probability], ARRAY[b.rate]), ''), 'Reliability curve')
    || behavpred_internal.report_legend('{users of a tenth,95 % interval,exactly true}', '{dot,whisker,reference}'))
  FROM b
$$;
COMMENT ON FUNCTION behavpred_internal.report_calibration(text, json, json) IS 'For report_html(): calibration_curve()';

-- Shares of both classes by log odds: the steps of the ROC curve, in bins.
CREATE FUNCTION behavpred_internal.report_scores(target text, version int, bins int) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH scores AS (
    SELECT ln(p / (1 - p)) AS logit, true_positive_rate - lag(true_positive_rate, 1, 0::float8) OVER taken AS acted,
           false_positive_rate - lag(false_positive_rate, 1, 0::float8) OVER taken AS others
    FROM behavpred.roc_curve(target, 100000, version), LATERAL (SELECT least(greatest(threshold, 1e-6), 1 - 1e-6) AS p) AS c
    WINDOW taken AS (ORDER BY fraction)
  ), width AS (
    SELECT min(logit) - 1e-6 AS low, greatest(max(logit), min(logit) + 1e-3) + 1e-6 AS high FROM scores WHERE acted + others > 0
  ), counted AS (
    SELECT w.low + (w.high - w.low) * (n - 0.5) / bins AS middle, coalesce(sum(s.acted), 0) AS acted, coalesce(sum(s.others), 0) AS others
    FROM width w CROSS JOIN generate_series(1, bins) AS n LEFT JOIN scores s ON width_bucket(s.logit, w.low, w.high, bins) = n GROUP BY w.low, w.high, n
  ), drawn AS (
    SELECT ARRAY[min(w.low), max(w.high), 0, 1.1 * max(greatest(acted, others))] AS frame,
           array_agg(middle ORDER BY middle) AS x, array_agg(acted ORDER BY middle) AS acted, array_agg(others ORDER BY middle) AS others,
           array_agg(0::float8) AS zero, behavpred_internal.report_ticks(0, 1.1 * max(greatest(acted, others))) AS y_at
    FROM counted, width w
  )
  SELECT behavpred_internal.report_card('Scores', 'How the probabilities of the held-out users are spread; the further the two stand apart, the better.',
    behavpred_internal.report_chart(frame, t.x_at, t.x_labels, y_at, (SELECT array_agg(behavpred_internal.report_percent(y)) FROM unnest(y_at) AS y),
      'probability', 'share of the group',
      concat(behavpred_internal.report_band(frame, x, zero, others, 'area second'), behavpred_internal.report_band(frame, x, zero, acted, 'area'),
             behavpred_internal.report_line(frame, x, others, 'second'), behavpred_internal.report_line(frame, x, acted, 'first')), 'Distribution of the scores')
    || behavpred_internal.report_legend('{acted,did not}', '{first,second}'))
  FROM drawn CROSS JOIN LATERAL (
    SELECT array_agg(ln(p / (1 - p)) ORDER BY p) AS x_at, array_agg(behavpred_internal.report_percent(p) ORDER BY p) AS x_labels
    FROM unnest('{0.00001,0.0001,0.001,0.01,0.1,0.5,0.9,0.99,0.999}'::float8[]) AS p WHERE ln(p / (1 - p)) BETWEEN frame[1] AND frame[2]) t
$$;
COMMENT ON FUNCTION behavpred_internal.report_scores(text, int, int) IS 'For report_html(): scores of the test part, those who acted beside the others';

CREATE FUNCTION behavpred_internal.report_test_part(target text, version int, facts json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_roc(target, version, (m.all -> 'auc')::json)
      || behavpred_internal.report_calibration(facts #>> '{calibration,method}', (m.all -> 'ece')::json, facts #> '{calibration,bins}')
      || behavpred_internal.report_scores(target, version, CASE WHEN (facts #>> '{sample,test_positives}')::int < 100 THEN 10 ELSE 24 END)
  FROM (SELECT jsonb_object_agg(metric ->> 'metric', metric) AS all FROM json_array_elements(facts -> 'metrics') AS metric) AS m
$$;
COMMENT ON FUNCTION behavpred_internal.report_test_part(text, int, json) IS 'For report_html(): what the test part shows: ROC, calibration, scores';

CREATE FUNCTION behavpred_internal.report_epochs(epochs float8[], numbers float8[], title text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  WITH f AS (
    SELECT ARRAY[least(1, min(x)), greatest(2, max(x)), min(y) - 0.05 * greatest(max(y) - min(y), 1e-5), max(y) + 0.05 * greatest(max(y) - min(y), 1e-5)] AS frame
    FROM unnest(epochs, numbers) AS p (x, y)
  ), t AS (
    SELECT (SELECT array_agg(x) FROM unnest(behavpred_internal.report_ticks(frame[1], frame[2])) AS x WHERE x = floor(x)) AS x_at,
           behavpred_internal.report_ticks(frame[3], frame[4]) AS y_at
    FROM f
  )
  SELECT behavpred_internal.report_chart(frame, x_at, x_at::text[], y_at, (SELECT array_agg(trim_scale(y::numeric)::text) FROM unnest(y_at) AS y), 'epoch', title,
           behavpred_internal.report_line(frame, epochs, numbers, 'first') || behavpred_internal.report_dots(frame, epochs, numbers), title || ' by epoch')
  FROM f, t
$$;
COMMENT ON FUNCTION behavpred_internal.report_epochs(float8[], float8[], text) IS 'For report_html(): a number that changes from epoch to epoch';

CREATE FUNCTION behavpred_internal.report_training(run bigint) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Training of the graph',
           format('%s epochs. The vectors are those of epoch %s: none before it was better on held-out edges by more than chance.', count(*), r.result ->> 'best_epoch'),
           concat(behavpred_internal.report_epochs(array_agg(l.epoch::float8 ORDER BY l.epoch), array_agg(l.loss ORDER BY l.epoch), 'loss'),
                  CASE WHEN count(l.ndcg_at_20) = count(*) THEN
                    behavpred_internal.report_epochs(array_agg(l.epoch::float8 ORDER BY l.epoch), array_agg(l.ndcg_at_20 ORDER BY l.epoch), 'NDCG@20') END))
  FROM behavpred.training_log l JOIN behavpred.runs r USING (run_id) WHERE l.run_id = run GROUP BY r.result ->> 'best_epoch'
$$;
COMMENT ON FUNCTION behavpred_internal.report_training(bigint) IS 'For report_html(): training_log of the graph''s run';

-- What tells users apart: the variance of each part of the log odds over some users, who
-- are chosen by a hash of their keys.
CREATE FUNCTION behavpred_internal.report_factors(target text, graph text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  bars text;
BEGIN
  EXECUTE (
    SELECT format($query$
      WITH parts AS (
        SELECT concat_ws(' ', e.kind, e.name) AS part, coalesce(e.name::int, 1000) AS place, var_pop(e.contribution) AS spread
        FROM (SELECT %1$I::text AS key FROM %2$s ORDER BY hashtextextended(%1$I::text, 0), 1 LIMIT 300) AS u,
          LATERAL behavpred.explain($1, u.key, 0) AS e
        WHERE e.kind IN ('factor', 'activity') GROUP BY e.kind, e.name
      ), shares AS (
        SELECT part, place, spread / nullif(sum(spread) OVER (), 0) AS share FROM parts
      )
      SELECT string_agg(format('<div class="bar"><span>%%s</span><div><i style="width:%%s%%%%"></i></div><b>%%s</b></div>',
               behavpred_internal.report_escape(part), round(100 * share::numeric, 1), behavpred_internal.report_percent(share)), '' ORDER BY place)
      FROM shares$query$, g.user_column, g.user_embeddings)
    FROM behavpred.registered_graph g WHERE g.graph = $2) INTO bars USING target;
  RETURN behavpred_internal.report_card('What tells users apart', 'Share of each factor of the network, and of how active users are, in the differences between their log odds (300 users).', coalesce(bars, ''));
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state OR undefined_table THEN
  RETURN behavpred_internal.report_card('What tells users apart', 'Not drawn: ' || SQLERRM || '.', '');
END
$$;
COMMENT ON FUNCTION behavpred_internal.report_factors(text, text) IS 'For report_html(): factors by how much they contribute, from explain()';

CREATE FUNCTION behavpred_internal.report_drift(target text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  listing text;
  worst text;
BEGIN
  SELECT behavpred_internal.report_rows('{measure,PSI,by chance,users,verdict}', array_agg(cell ORDER BY d.place, u.n)),
         ('{ok,watch,retrain}'::text[])[max(array_position('{ok,watch,retrain}', d.verdict))]
  INTO listing, worst
  FROM behavpred.check_drift(target) WITH ORDINALITY AS d (measure, reference_users, present_users, psi, by_chance, verdict, place),
    unnest(ARRAY[d.measure, behavpred_internal.card_number(d.psi), behavpred_internal.card_number(d.by_chance), behavpred_internal.card_number(d.present_users), d.verdict]) WITH ORDINALITY AS u (cell, n);
  RETURN behavpred_internal.report_card('Drift', CASE worst
    WHEN 'ok' THEN 'Users and scores are as they were when it was trained.'
    WHEN 'watch' THEN 'Something has moved since it was trained; not enough yet to train again.'
    ELSE 'What it was trained on has changed: train it again.' END, listing);
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state OR undefined_table THEN
  RETURN behavpred_internal.report_card('Drift', 'Not drawn: ' || SQLERRM || '.', '');
END
$$;
COMMENT ON FUNCTION behavpred_internal.report_drift(text) IS 'For report_html(): check_drift()';

CREATE FUNCTION behavpred_internal.report_tile(title text, number text, note text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<div class="tile"><span>%s</span><b>%s</b><span>%s</span></div>',
                behavpred_internal.report_escape(title), coalesce(behavpred_internal.report_escape(number), 'unknown'), coalesce(behavpred_internal.report_escape(note), ''))
$$;
COMMENT ON FUNCTION behavpred_internal.report_tile(text, text, text) IS 'For report_html(): one figure at the head of the page';

CREATE FUNCTION behavpred_internal.report_tiles(facts json) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT '<div class="tiles">' || string_agg(behavpred_internal.report_tile(
             CASE m.metric WHEN 'auc' THEN 'AUC' WHEN 'pr_auc' THEN 'PR-AUC' WHEN 'lift' THEN 'Lift of the best ' || behavpred_internal.report_percent(m.at) ELSE 'Calibration error (ECE)' END,
             behavpred_internal.card_number(m.value), behavpred_internal.card_number(m.low) || ' to ' || behavpred_internal.card_number(m.high)), ''
             ORDER BY array_position('{auc,pr_auc,lift,ece}', m.metric))
    || behavpred_internal.report_tile('Base rate', behavpred_internal.report_percent((facts #>> '{sample,base_rate}')::float8), 'of ' || behavpred_internal.card_number((facts #>> '{sample,candidates}')::float8) || ' candidates')
    || behavpred_internal.report_tile('Measured on', behavpred_internal.card_number((facts #>> '{sample,test_positives}')::float8 + (facts #>> '{sample,test_negatives}')::float8),
         (facts #>> '{sample,test_positives}') || ' of them acted') || '</div>'
  FROM json_to_recordset(facts -> 'metrics') AS m (metric text, at float8, value float8, low float8, high float8)
  WHERE m.metric IN ('auc', 'pr_auc', 'ece') OR (m.metric, m.at) = ('lift', 0.05)
$$;
COMMENT ON FUNCTION behavpred_internal.report_tiles(json) IS 'For report_html(): the figures at the head of the page';

CREATE FUNCTION behavpred_internal.report_metrics(metrics json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('All metrics', 'With 95 % intervals, beside users ranked by their number of interactions (popularity) and the base rate for everybody (prior).',
    behavpred_internal.report_rows('{metric,value,low,high,popularity,prior}', (
      SELECT array_agg(cell ORDER BY r.place, c.n)
      FROM json_array_elements(metrics) WITH ORDINALITY AS r (m, place),
        unnest(ARRAY[CASE WHEN m ->> 'metric' IN ('auc', 'pr_auc', 'ece') THEN upper(replace(m ->> 'metric', '_', '-')) ELSE replace(m ->> 'metric', '_', ' ') END || coalesce(' of the best ' || behavpred_internal.report_percent((m ->> 'at')::float8), ''), behavpred_internal.card_text(m -> 'value'),
                     m #>> '{low}', m #>> '{high}', m #>> '{popularity}', m #>> '{prior}']) WITH ORDINALITY AS u (raw, n),
        LATERAL (SELECT u.n, CASE WHEN u.n > 2 THEN behavpred_internal.card_number(u.raw::float8) ELSE u.raw END AS cell) AS c)))
$$;
COMMENT ON FUNCTION behavpred_internal.report_metrics(json) IS 'For report_html(): evaluate() as a table';

CREATE FUNCTION behavpred_internal.report_facts(title text, facts json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT format('<h3>%s</h3><table class="facts">%s</table>', behavpred_internal.report_escape(title),
    string_agg(format('<tr><th>%s</th><td>%s</td></tr>', replace(f.key, '_', ' '), behavpred_internal.report_escape(coalesce(behavpred_internal.card_text(f.value), 'none'))), '' ORDER BY f.place))
  FROM json_each(facts) WITH ORDINALITY AS f (key, value, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_facts(text, json) IS 'For report_html(): a part of the model card';

CREATE FUNCTION behavpred_internal.report_model_card(facts json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Model card', 'What it was made of, so that it can be made again.',
    '<div class="columns">' || string_agg(format('<div>%s</div>', behavpred_internal.report_facts(p.title, facts -> p.part)), '') || '</div>')
  FROM unnest('{model,data,sample,graph_training,target_training}'::text[],
              '{Model,Data,Sample,Training of the graph,Training of the target}'::text[]) AS p (part, title)
$$;
COMMENT ON FUNCTION behavpred_internal.report_model_card(json) IS 'For report_html(): model_card()';

CREATE FUNCTION behavpred_internal.report_limits(limits json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT behavpred_internal.report_card('Limits', 'To know before relying on it.',
    '<ul>' || string_agg('<li>' || behavpred_internal.report_escape(line) || '</li>', '' ORDER BY place) || '</ul>')
  FROM json_array_elements_text(limits) WITH ORDINALITY AS l (line, place)
$$;
COMMENT ON FUNCTION behavpred_internal.report_limits(json) IS 'For report_html(): what the model cannot do';

CREATE FUNCTION behavpred_internal.report_style() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT $style$
:root { color-scheme: light dark; --page: #f4f6f8; --card: #fff; --ink: #18212d; --soft: #566273; --line: #dde2e8; --first: #1a66d6; --second: #c4501b; --band: #1a66d633; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0e1318; --card: #171e26; --ink: #e8ecf1; --soft: #a3aebb; --line: #2c3642; --first: #6fb1ff; --second: #ff9f66; --band: #6fb1ff33; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 4px; }
h3 { font-size: .95rem; margin: 16px 0 4px; }
p { margin: 0 0 12px; color: var(--soft); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 12px 14px; display: flex; flex-direction: column; }
.tile b { font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .82rem; }
.cards { margin-bottom: 16px; }
.card { padding: 18px; margin-bottom: 16px; break-inside: avoid; }
@media (min-width: 820px) { .cards, .columns { columns: 2; column-gap: 16px; } }
.columns > div { break-inside: avoid; }
.columns > div:first-child h3 { margin-top: 0; }
svg { display: block; width: 100%; max-width: 520px; height: auto; margin: 0 auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12.5px; }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
.first { stroke: var(--first); } .second { stroke: var(--second); }
.reference { stroke: var(--soft); stroke-dasharray: 4 4; stroke-width: 1.3; }
.whisker { stroke: var(--first); stroke-width: 1.5; opacity: .6; }
.dot { fill: var(--first); }
.band, .area { fill: var(--band); stroke: none; } .area.second { fill: color-mix(in srgb, var(--second) 18%, transparent); }
.legend { display: flex; flex-wrap: wrap; justify-content: center; gap: 4px 18px; font-size: .85rem; margin: 4px 0 12px; }
.legend i { display: inline-block; width: 18px; height: 0; border-top: 3px solid var(--soft); margin-right: 6px; vertical-align: middle; }
.legend i.first { border-color: var(--first); } .legend i.second { border-color: var(--second); } .legend i.reference { border-top-style: dashed; border-top-width: 2px; }
.legend i.band { border-top: 12px solid var(--band); } .legend i.whisker { border-color: var(--first); opacity: .6; border-top-width: 2px; }
.legend i.dot { width: 9px; height: 9px; border: 0; border-radius: 50%; background: var(--first); }
.wide { overflow-x: auto; } .wide td { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .facts th, .facts td { text-align: left; }
.facts th { width: 38%; font-weight: 400; } .facts td { overflow-wrap: anywhere; }
.bar { display: grid; grid-template-columns: 5.5em 1fr 4em; gap: 10px; align-items: center; margin: 8px 0; font-size: .9rem; }
.bar > div { background: var(--page); border-radius: 4px; } .bar i { display: block; height: 14px; border-radius: 4px; background: var(--first); min-width: 2px; }
.bar b { text-align: right; font-variant-numeric: tabular-nums; }
@media (max-width: 500px) { svg text { font-size: 14px; } .wide table { font-size: .74rem; } .wide th, .wide td { padding: 4px 3px; white-space: normal; } }
ul { margin: 0; padding-left: 1.2em; } li { margin: 6px 0; }
footer { color: var(--soft); font-size: .85rem; margin-top: 20px; }
$style$
$$;
COMMENT ON FUNCTION behavpred_internal.report_style() IS 'For report_html(): how the page looks, by light and by dark, on phones and on desks';

CREATE FUNCTION report_html(target text, version int DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  facts json := behavpred_internal.card_facts(target, version);
  chosen int := facts #>> '{model,version}';
  name text := behavpred_internal.report_escape(target);
  deployed boolean := facts #>> '{model,deployed}';
BEGIN
  RETURN concat(
    E'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n',
    E'<meta http-equiv="Content-Security-Policy" content="default-src ''none''; style-src ''unsafe-inline''">\n',
    format(E'<title>%s, version %s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n<h1>%1$s</h1>\n', name, chosen, behavpred_internal.report_style()),
    format(E'<p>Version %s%s, trained %s on graph %s</p>\n', chosen, CASE WHEN deployed THEN ' (deployed)' ELSE '' END,
           behavpred_internal.card_text(facts #> '{model,trained_at}'), behavpred_internal.report_escape(facts #>> '{model,graph}')),
    behavpred_internal.report_tiles(facts), E'\n<div class="cards">\n',
    CASE WHEN deployed THEN behavpred_internal.report_audience(target) END,
    CASE WHEN json_array_length(facts #> '{calibration,bins}') > 0 THEN behavpred_internal.report_test_part(target, chosen, facts) END,
    CASE WHEN deployed THEN behavpred_internal.report_factors(target, facts #>> '{model,graph}') END,
    CASE WHEN deployed THEN behavpred_internal.report_drift(target) END,
    behavpred_internal.report_training((facts #>> '{graph_training,run_id}')::bigint),
    behavpred_internal.report_metrics(facts -> 'metrics'),
    behavpred_internal.report_limits(facts -> 'limits'),
    E'</div>\n', behavpred_internal.report_model_card(facts),
    format(E'<footer>%s, %s</footer>\n</main>\n</body>\n</html>\n', behavpred_internal.report_escape(facts #>> '{model,software}'), to_char(now(), 'YYYY-MM-DD HH24:MI TZ')));
END
$$;
COMMENT ON FUNCTION report_html(text, int) IS
E'A page of HTML about a target''s model: audience curve with its interval, ROC, calibration, scores, factors, drift, training, metrics, limits and model card. It needs no network and runs no script; light and dark, phone and desk. version: default the deployed one, else the latest; audience, factors and drift are drawn for the deployed one only. Write it to a file by psql: \\pset format unaligned, \\pset tuples_only on, \\o report.html';

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

-- ---------------------------------------------------------------------------
-- The nightly recipe: one procedure for pg_cron
-- ---------------------------------------------------------------------------

-- What a later training must be told to make a network like the kept one.
CREATE FUNCTION behavpred_internal.nightly_options(graph text, warm boolean) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_object_agg(o.key, o.value) || jsonb_build_object('warm_start', warm)
  FROM behavpred.registered_graph g
  JOIN behavpred.training_run r ON r.run_id = g.trained_run
  CROSS JOIN LATERAL jsonb_each(r.options) o
  WHERE g.graph = $1
    AND o.key = ANY ('{hide_positives,routing,routing_temperature,attention,attention_width,neighbour_scale,keep_lengths,mapping,layer_mean,full_gradient,id_embeddings,loss,spectral_start,initial_bias,weight_decay,target_fraction,sampled_neighbours,epoch_steps,keep_network}')
$$;

COMMENT ON FUNCTION behavpred_internal.nightly_options(text, boolean) IS
'For run_nightly(): options that make a network of the same kind as that of the graph''s last run';

-- Verdict over all measures of a graph, or of a target: the worst; retrain when it cannot be checked.
CREATE FUNCTION behavpred_internal.nightly_verdict(graph text, target text) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  worst text;
BEGIN
  SELECT CASE WHEN bool_or(v = 'retrain') THEN 'retrain' WHEN bool_or(v = 'watch') THEN 'watch' ELSE 'ok' END INTO worst
  FROM (SELECT d.verdict AS v FROM behavpred.check_graph_drift($1) d WHERE $2 IS NULL
        UNION ALL SELECT d.verdict FROM behavpred.check_drift($2) d WHERE $2 IS NOT NULL) verdicts;
  RETURN worst;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RETURN 'retrain';
END
$$;

COMMENT ON FUNCTION behavpred_internal.nightly_verdict(text, text) IS
'For run_nightly(): the worst verdict on a graph (target NULL) or on a target; retrain when there is nothing to compare with';

-- Without a SET clause, for it commits: names are looked up in pg_catalog as soon as it has said so,
-- which it says again after each step that has ended a transaction.
CREATE PROCEDURE run_nightly(
  graph text, retrain text DEFAULT 'drift', max_seconds float8 DEFAULT NULL,
  keep_versions int DEFAULT 5, keep_runs int DEFAULT 100)
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
DECLARE
  last behavpred.training_run;
  kept boolean;
  captured boolean;
  verdict text;
  target_names text[];
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM behavpred_internal.graph_named(run_nightly.graph);
  SELECT r.* INTO last FROM behavpred.registered_graph g JOIN behavpred.training_run r ON r.run_id = g.trained_run WHERE g.graph = run_nightly.graph;
  IF last.run_id IS NULL OR retrain IS NULL OR retrain <> ALL ('{drift,always,never}') THEN
    RAISE EXCEPTION USING errcode = CASE WHEN last.run_id IS NULL THEN 'object_not_in_prerequisite_state' ELSE 'invalid_parameter_value' END,
      message = CASE WHEN last.run_id IS NULL THEN format('graph "%s" has not been trained', run_nightly.graph) WHEN retrain IS NULL THEN 'retrain is NULL' ELSE format('retrain is "%s"', retrain) END,
      hint = CASE WHEN last.run_id IS NULL THEN format('SELECT * FROM behavpred.train_graph(%L);', run_nightly.graph) ELSE 'It may be drift, always or never.' END;
  END IF;
  SELECT EXISTS (SELECT FROM behavpred.trained_network n WHERE n.graph = run_nightly.graph AND n.run_id = last.run_id) INTO kept;

  -- First the vectors by the network as it is, of what has changed where that is captured, else of everybody; then it
  -- can be seen what has moved.
  SELECT EXISTS (SELECT FROM behavpred.change_capture c WHERE c.graph = run_nightly.graph) INTO captured;
  IF captured THEN
    CALL behavpred.run_refresh(run_nightly.graph, max_seconds);
  ELSIF kept THEN
    CALL behavpred.run_graph(run_nightly.graph, (last.options ->> 'dimension')::int, (last.options ->> 'factors')::int, (last.options ->> 'layers')::int,
      (last.options ->> 'routing_iterations')::int, epochs => 0, seed => last.seed,
      options => behavpred_internal.nightly_options(run_nightly.graph, true));
  END IF;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  IF captured OR kept THEN
    SELECT behavpred_internal.nightly_verdict(run_nightly.graph, NULL) INTO verdict;
    IF verdict = 'ok' AND EXISTS (SELECT FROM behavpred.registered_target t WHERE t.graph = run_nightly.graph AND t.deployed_version IS NOT NULL
                                  AND behavpred_internal.nightly_verdict(t.graph, t.target) <> 'ok') THEN
      verdict := 'watch';
    END IF;
  ELSE
    verdict := 'retrain';
  END IF;
  IF retrain = 'always' OR (retrain = 'drift' AND verdict <> 'ok') THEN
    CALL behavpred.run_graph(run_nightly.graph, (last.options ->> 'dimension')::int, (last.options ->> 'factors')::int, (last.options ->> 'layers')::int,
      (last.options ->> 'routing_iterations')::int, seed => last.seed,
      options => behavpred_internal.nightly_options(run_nightly.graph, kept), max_seconds => max_seconds);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END IF;

  -- Then the targets whose model does not fit any more, or never was; the new version is deployed when it is no worse.
  SELECT array_agg(t.target ORDER BY t.target) INTO target_names
  FROM behavpred.registered_target t
  WHERE t.graph = run_nightly.graph
    AND (retrain = 'always' OR t.deployed_version IS NULL OR (retrain = 'drift' AND behavpred_internal.nightly_verdict(t.graph, t.target) <> 'ok'));
  IF target_names IS NOT NULL THEN
    CALL behavpred.run_targets(run_nightly.graph, target_names, max_seconds => max_seconds);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END IF;
  RAISE NOTICE USING message = format('graph "%s": drift %s, %s; %s of its targets trained', run_nightly.graph, verdict,
      CASE WHEN retrain = 'always' OR (retrain = 'drift' AND verdict <> 'ok') THEN 'trained' ELSE 'vectors brought up to date' END,
      coalesce(cardinality(target_names), 0));
  CALL behavpred.run_maintenance(keep_versions, keep_runs);
END
$$;

COMMENT ON PROCEDURE run_nightly(text, text, float8, int, int) IS
'For pg_cron, once a night and graph: computes vectors from the present interactions by the network as it is, those of the queue by run_refresh() where changes are captured and everybody''s where not, checks drift, lets the network learn on from where it is when something has moved, trains the targets whose model does not fit any more (a version is deployed when it is no worse on the same test users), and trims history. It commits between these steps and is no part of a transaction block.
retrain: drift (default), always, or never (vectors and first models only). max_seconds: from 0 on, for the refresh and for each of the trainings; a paused one goes on the next time. keep_versions, keep_runs: those of run_maintenance().';

REVOKE EXECUTE ON PROCEDURE run_nightly(text, text, float8, int, int) FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Time: a cut that parts past from future, and weights that fade
-- ---------------------------------------------------------------------------

CREATE TABLE graph_time (
  graph text PRIMARY KEY REFERENCES registered_graph ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  half_life interval CHECK (half_life > interval '0'),
  until timestamptz CHECK (isfinite(until))
);

COMMENT ON TABLE graph_time IS 'Graphs that read the past up to a moment only, or whose interactions fade; by set_graph_time()';

GRANT SELECT, INSERT, UPDATE, DELETE ON graph_time TO PUBLIC;
ALTER TABLE graph_time ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON graph_time USING (owner = current_user);
CREATE POLICY granted_rows ON graph_time FOR SELECT USING (behavpred_internal.privilege_near(owner, graph) >= 1);
CREATE POLICY of_same_owner ON graph_time AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_graph g WHERE g.graph = graph_time.graph AND g.owner = graph_time.owner));

COMMENT ON POLICY own_rows ON graph_time IS 'Every role sees and changes its own graphs';
COMMENT ON POLICY granted_rows ON graph_time IS 'Whoever uses a graph reads it the same way';
COMMENT ON POLICY of_same_owner ON graph_time IS 'It is of the owner of the graph';

SELECT pg_extension_config_dump('graph_time', '');

CREATE FUNCTION set_graph_time(graph text, half_life interval DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  g behavpred.registered_graph := behavpred_internal.graph_named($1);
BEGIN
  IF NOT behavpred_internal.sees_rows_of(g.owner) THEN
    RAISE EXCEPTION USING errcode = 'insufficient_privilege',
      message = format('graph "%s" is owned by "%s"', $1, g.owner),
      detail = 'What it reads is for its owner to say.', hint = format('SET ROLE %I;', g.owner);
  ELSIF g.time_column IS NULL THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = format('graph "%s" has no time column', $1),
      detail = 'half_life and until look at the time of each interaction.',
      hint = 'Create the graph with time_column => ''...''.';
  ELSIF $2 <= interval '0' OR NOT isfinite($3) THEN
    RAISE EXCEPTION USING errcode = 'invalid_parameter_value',
      message = CASE WHEN $2 <= interval '0' THEN format('half_life is %s', $2) ELSE format('until is %s', $3) END,
      detail = 'half_life must be above 0, until a moment.',
      hint = format('SELECT behavpred.set_graph_time(%L, half_life => ''90 days'');', $1);
  END IF;
  DELETE FROM behavpred.graph_time t WHERE t.graph = $1;
  IF $2 IS NOT NULL OR $3 IS NOT NULL THEN
    INSERT INTO behavpred.graph_time (graph, owner, half_life, until) VALUES ($1, g.owner, $2, $3);
  END IF;
END
$$;

COMMENT ON FUNCTION set_graph_time(text, interval, timestamptz) IS
'How a graph with a time column sees time, from its next training on; NULL (default) takes it back. half_life: the weight of an interaction halves each time it gets that much older (up to 120 times). until: only interactions before that moment are read, and since counts back from it; the horizon of a target then reaches forward from it: its users are those who do it within the horizon of the cut, while vectors come from before';

CREATE FUNCTION evaluate_graph_after(
  graph text, horizon interval DEFAULT NULL, k int DEFAULT 20, threads int DEFAULT NULL,
  OUT users bigint, OUT pairs bigint, OUT pairs_left_out bigint, OUT recall float8, OUT recall_error float8, OUT ndcg float8,
  OUT ndcg_error float8, OUT precision_at_k float8, OUT hit_rate float8, OUT popularity_recall float8, OUT popularity_ndcg float8, OUT seconds float8)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  g behavpred.registered_graph := behavpred_internal.graph_named($1);
  cut timestamptz;
BEGIN
  SELECT t.until INTO cut FROM behavpred.graph_time t WHERE t.graph = $1;
  IF cut IS NULL OR g.trained_run IS NULL
     OR (SELECT (r.result ->> 'until')::float8 FROM behavpred.training_run r WHERE r.run_id = g.trained_run) IS DISTINCT FROM extract(epoch FROM cut)::float8 THEN
    RAISE EXCEPTION USING errcode = 'object_not_in_prerequisite_state',
      message = CASE WHEN cut IS NULL THEN format('graph "%s" has no cut', $1) ELSE format('the vectors of graph "%s" are not of its cut', $1) END,
      detail = 'Compared are vectors of before a moment with interactions after it.',
      hint = CASE WHEN cut IS NULL THEN 'SELECT behavpred.set_graph_time(..., until => now() - interval ''14 days''); and train the graph.'
                  ELSE format('SELECT * FROM behavpred.train_graph(%L);', $1) END;
  END IF;
  EXECUTE format('CREATE TEMPORARY TABLE behavpred_after_the_cut ON COMMIT DROP AS SELECT DISTINCT i.%1$I, i.%2$I FROM %3$s i WHERE i.%4$I >= %5$L::timestamptz AND %6$s%7$s',
    g.user_column, g.object_column, behavpred_internal.relation_named(g.interactions), g.time_column, cut,
    behavpred_internal.capture_filter(g, behavpred_internal.relation_named(g.interactions), 'i'),
    CASE WHEN $2 IS NOT NULL THEN format(' AND i.%I < %L::timestamptz + %L::interval', g.time_column, cut, $2) ELSE '' END);
  GET DIAGNOSTICS pairs = ROW_COUNT;
  IF pairs = 0 THEN
    RAISE EXCEPTION USING errcode = 'no_data_found',
      message = format('graph "%s" has no interaction after its cut', $1),
      detail = format('No row of %s has "%s" from %s on%s.', g.interactions, g.time_column, cut, ', within ' || $2),
      hint = format('SELECT max(%I) FROM %s;', g.time_column, g.interactions);
  END IF;
  SELECT e.* INTO users, pairs, pairs_left_out, recall, recall_error, ndcg, ndcg_error, precision_at_k, hit_rate, popularity_recall, popularity_ndcg, seconds
  FROM behavpred.evaluate_graph($1, 'pg_temp.behavpred_after_the_cut', $3, $4) e;
  DROP TABLE pg_temp.behavpred_after_the_cut;
END
$$;

COMMENT ON FUNCTION evaluate_graph_after(text, interval, int, int) IS
'evaluate_graph() split by time: vectors that were trained with the cut of set_graph_time(until) rank the interactions from the cut on. horizon: only those of that stretch of time after it, default all. Result and the other arguments as there';

REVOKE EXECUTE ON FUNCTION set_graph_time(text, interval, timestamptz), evaluate_graph_after(text, interval, int, int) FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Several behaviours in one graph
-- ---------------------------------------------------------------------------

CREATE TABLE graph_behavior (
  graph text PRIMARY KEY REFERENCES registered_graph ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  weights float8[] NOT NULL,
  predicted text[] NOT NULL,
  typed boolean NOT NULL
);

COMMENT ON TABLE graph_behavior IS
'What set_behaviors() has said of a graph: the weight of each of its behaviors, in their order, those to be predicted, and whether the network tells them apart';

GRANT SELECT, INSERT, UPDATE, DELETE ON graph_behavior TO PUBLIC;
ALTER TABLE graph_behavior ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON graph_behavior USING (owner = current_user);
CREATE POLICY granted_rows ON graph_behavior FOR SELECT USING (behavpred_internal.privilege_near(owner, graph) >= 1);
CREATE POLICY of_same_owner ON graph_behavior AS RESTRICTIVE FOR INSERT
  WITH CHECK (EXISTS (SELECT FROM registered_graph g WHERE g.graph = graph_behavior.graph AND g.owner = graph_behavior.owner));

COMMENT ON POLICY own_rows ON graph_behavior IS 'Every role sees and changes its own graphs';
COMMENT ON POLICY granted_rows ON graph_behavior IS 'Graphs of others that the role may use';
COMMENT ON POLICY of_same_owner ON graph_behavior IS 'What is said of a graph is said by its owner';

SELECT pg_extension_config_dump('graph_behavior', '');

CREATE FUNCTION set_behaviors(graph text, weights jsonb DEFAULT NULL, predict text[] DEFAULT NULL, typed boolean DEFAULT true)
RETURNS void AS 'MODULE_PATHNAME', 'behavpred_set_behaviors' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION set_behaviors(text, jsonb, text[], boolean) IS
'Say what the behaviors of a graph, made with behavior_column and behaviors, are to each other; the next training goes by it. For the owner of the graph.
weights: what an interaction of each behavior counts, as {"view": 0.5}, 0.000001 to 1000000, default 1.
predict: those of the behaviors that are to be predicted, default all. What a user has done of these is left out of his recommendations, is what targets are about, and is what evaluate_graph() takes for known; other behaviors leave an object in the ranking.
typed: true (default) trains with a gain of its own for each behavior (at most 8), layer and direction, learns from the edges to be predicted alone, and adds to the score what other behaviors between the user and the object say by themselves; recommend(), recommend_all() and evaluate_graph() then read the user''s interactions. false trains on all interactions alike, weighted.
Without weights and predict, typed => false takes back what was said before.';

REVOKE EXECUTE ON FUNCTION set_behaviors(text, jsonb, text[], boolean) FROM PUBLIC;
