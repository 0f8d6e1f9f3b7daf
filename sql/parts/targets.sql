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
  'Trains the next version of a target''s model (logistic or mlp) on sampled users: hard labels, soft labels of the graph network (soft_weight 0 to 1), seeds weighted by how sparse their surroundings are (seed_weights isolation_forest or none). Quality is measured on users that trained nothing: test_basis unseen = their interaction with the object was held out of the graph''s training, too; in_graph = it was not, so that the figures are optimistic. options: soft_temperature, ridge, anchored (default true: hard labels correct the teacher instead of starting from nothing; logistic only), iterations, epochs, batch_size, learning_rate, seed_weight_scale (raw, mean1, spread), deploy (if_better, always, never)';

CREATE FUNCTION drop_target(target text) RETURNS void
AS 'MODULE_PATHNAME', 'behavpred_drop_target' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION drop_target(text) IS 'Removes a target and all its models';

