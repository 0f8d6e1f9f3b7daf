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
