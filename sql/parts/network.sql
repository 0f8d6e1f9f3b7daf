-- ---------------------------------------------------------------------------
-- The trained network: what a later training starts from, and what computes the vector of a
-- node that no training has seen
-- ---------------------------------------------------------------------------

CREATE TABLE trained_network (
  graph text PRIMARY KEY REFERENCES registered_graph ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  run_id bigint NOT NULL,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  user_features text[],
  object_features text[],
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

COMMENT ON TABLE trained_network IS 'Whose parameters are kept: the run that made them, and the columns of features they are for';
COMMENT ON TABLE trained_network_part IS
'The parameters of a graph''s network after its last training, in blocks with a checksum: numbers that all nodes share, and users and objects by key';

GRANT SELECT, INSERT, UPDATE, DELETE ON trained_network, trained_network_part TO PUBLIC;
ALTER TABLE trained_network ENABLE ROW LEVEL SECURITY;
ALTER TABLE trained_network_part ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON trained_network USING (owner = current_user);
CREATE POLICY own_rows ON trained_network_part USING (owner = current_user);
CREATE POLICY granted_rows ON trained_network FOR SELECT USING (privilege_on(owner, graph, NULL) >= 2);
CREATE POLICY granted_rows ON trained_network_part FOR SELECT USING (privilege_on(owner, graph, NULL) >= 2);
CREATE POLICY granted_training ON trained_network USING (privilege_on(owner, graph, NULL) >= 3);
CREATE POLICY granted_training ON trained_network_part USING (privilege_on(owner, graph, NULL) >= 3);
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

CREATE FUNCTION forget_in_network(graph text, user_id text) RETURNS bigint
AS 'MODULE_PATHNAME', 'behavpred_forget_in_network' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION forget_in_network(text, text) IS
'For forget_user(): take a user''s key and numbers out of the kept network of a graph. Result: how many were there, 0 or 1';

REVOKE EXECUTE ON FUNCTION forget_in_network(text, text) FROM PUBLIC;
