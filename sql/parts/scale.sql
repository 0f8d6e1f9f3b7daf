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
