
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
