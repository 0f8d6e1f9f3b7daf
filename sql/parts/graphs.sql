-- ---------------------------------------------------------------------------
-- Graphs
-- ---------------------------------------------------------------------------

CREATE FUNCTION create_graph(
  graph text, interactions regclass,
  user_column name DEFAULT 'user_id', object_column name DEFAULT 'object_id',
  behavior_column name DEFAULT NULL, behaviors text[] DEFAULT NULL,
  value_column name DEFAULT NULL, min_value float8 DEFAULT NULL,
  weight_column name DEFAULT NULL, time_column name DEFAULT NULL, since interval DEFAULT NULL,
  users regclass DEFAULT NULL, user_features name[] DEFAULT NULL,
  objects regclass DEFAULT NULL, object_features name[] DEFAULT NULL,
  max_degree int DEFAULT NULL, row_security text DEFAULT 'error',
  OUT users_found bigint, OUT objects_found bigint, OUT edges bigint,
  OUT interactions_read bigint, OUT duplicates bigint, OUT null_keys bigint)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_create_graph' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION create_graph(text, regclass, name, name, name, text[], name, float8, name, name, interval, regclass, name[], regclass, name[], int, text) IS
'Register a graph of who did what to what, and read it once.
graph: 1 to 40 letters, digits and underscores. interactions: table, view, materialized view, partitioned or foreign table; read as the caller.
user_column, object_column: smallint, integer, bigint, text, varchar or uuid; rows where one is NULL are counted and left out.
behavior_column, behaviors: only rows whose behavior is one of these. value_column, min_value: only rows with at least this value (an interval counts in seconds).
weight_column: finite numbers >= 0; weights of the same pair are added. time_column, since: only rows of the last interval before now().
users, user_features, objects, object_features: tables of features, keyed by a column named as in the interactions or by their primary key; without names, every column that can be a feature. Numbers and booleans are standardised, text and enums are one-hot (up to 100 values), real[] and double precision[] are taken as they are; NULL becomes the mean and is flagged.
max_degree: keep at most this many neighbours of a node, chosen at random by the seed; default all.
row_security: error (default) refuses sources whose policies hide rows from the caller, apply reads what the caller sees.
Result: nodes, distinct pairs, rows read, rows that fell onto an existing pair, rows with a NULL key.';

CREATE FUNCTION describe_graph(graph text)
RETURNS TABLE (property text, value text)
AS 'MODULE_PATHNAME', 'behavpred_describe_graph' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION describe_graph(text) IS
'Read the sources of a graph as they are now and describe it: counts of nodes, edges and rows, percentiles (nearest rank) of the degree of users and objects, first and last interaction (with time_column), features after expansion, the last training. For the owner of the graph.';

CREATE FUNCTION train_graph(
  graph text,
  dimension int DEFAULT 64, factors int DEFAULT 4, layers int DEFAULT 2,
  routing_iterations int DEFAULT 2,
  epochs int DEFAULT NULL, batch_size int DEFAULT NULL, learning_rate float8 DEFAULT NULL,
  negatives int DEFAULT NULL, temperature float8 DEFAULT NULL, patience int DEFAULT NULL,
  validation_fraction float8 DEFAULT NULL, seed bigint DEFAULT NULL, threads int DEFAULT NULL,
  options jsonb DEFAULT NULL,
  OUT run_id bigint, OUT epochs_run int, OUT best_epoch int, OUT loss float8,
  OUT recall_at_20 float8, OUT ndcg_at_20 float8,
  OUT user_embeddings text, OUT object_embeddings text, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_train_graph' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION train_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb) IS
'Train the graph network and write the embeddings of users and objects to two ordinary tables, <graph>_user_embedding and <graph>_object_embedding; a later training replaces their rows. NULL means the default, which may depend on the size of the graph.
dimension: numbers in a vector, 1 to 1024, a multiple of factors. factors: feature subspaces, 1 to 32. layers: 1 to 8. routing_iterations: 1 to 8.
epochs: at most, 0 to 10000, default 8 to 100 (more for a small graph). batch_size: positive edges for each step, 1 to 1048576, default a 50th of all but at least 256. learning_rate: of Adam, 1e-6 to 10, default 0.03. negatives: objects drawn for each chunk of positives, 1 to 65536, default 4096. temperature: of the loss, 0.02 to 10, default found by two to five short trainings with a fifth of the edges held out; give it to save their time. patience: epochs without a better validation NDCG before it stops, 0 = never, default a fifth of epochs within 4 to 20. Users are shielded from part of their edges to the objects of targets that exist when the graph is trained, so create targets first (option target_fraction, default 0.5). validation_fraction: of the edges, held out for early stopping and calibration, 0 to 0.5, default what holds out 10000 edges, within 0.01 to 0.1.
seed: default behavpred.seed. threads: default behavpred.threads; does not change the result.
options: rare ones as JSON: hide_positives (true: the edges a step learns from take no part in its propagation), routing (claim, disengcn, off), routing_temperature, attention (symmetric, additive, off), attention_width, neighbour_scale, keep_lengths, mapping (automatic, identity, linear), layer_mean, full_gradient, id_embeddings, loss (softmax, logistic), spectral_start, initial_bias, target_fraction, weight_decay, sampled_neighbours (0: a step propagates over the whole graph; above 0: over so many neighbours of each node around its batch, for graphs that do not fit into behavpred.max_memory), epoch_steps (0: an epoch takes all edges; above 0: so many steps at most), keep_network (true: the parameters are kept for later trainings and for new nodes, one more vector for each node), warm_start (false; true: begin with the kept network, a third of the epochs, 0.15 times the learning rate, the same temperature; new nodes start at the mean of their neighbours; models of targets stay usable while vectors stay near, see vector_cosine in the view models); also any of epochs to validation_fraction, which the argument of the same name overrides.
Result: the run (see the views runs and training_log), epochs run, the epoch that was kept and its loss and quality on held-out edges, the tables, seconds in all.';

CREATE FUNCTION evaluate_graph(
  graph text, held_out regclass, k int DEFAULT 20, threads int DEFAULT NULL,
  OUT users bigint, OUT pairs bigint, OUT pairs_left_out bigint,
  OUT recall float8, OUT recall_error float8, OUT ndcg float8, OUT ndcg_error float8,
  OUT precision_at_k float8, OUT hit_rate float8,
  OUT popularity_recall float8, OUT popularity_ndcg float8, OUT seconds float8)
RETURNS record AS 'MODULE_PATHNAME', 'behavpred_evaluate_graph' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION evaluate_graph(text, regclass, int, int) IS
'Rank all objects for each user of held_out, without those the user has in the graph, and compare the k best with the held-out pairs. held_out: a relation with the user and object columns of the graph. k: 1 to 1000. threads: default behavpred.threads.
Result: users and distinct pairs compared; rows left out because their user or object is not in the graph, they repeat, or the graph has them already; recall, NDCG (binary gains), precision and hit rate at k as means over users, with standard errors; the same for ranking by degree.';

CREATE FUNCTION drop_graph(graph text) RETURNS void
AS 'MODULE_PATHNAME', 'behavpred_drop_graph' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION drop_graph(text) IS
'Drop a graph, its embedding tables, its runs, and the targets and models that were built on it.';

