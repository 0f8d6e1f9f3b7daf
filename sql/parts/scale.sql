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
