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
