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

