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
