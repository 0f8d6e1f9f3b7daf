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
