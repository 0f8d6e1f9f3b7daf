-- ---------------------------------------------------------------------------
-- Refresh: vectors of new users and objects, and of those with new interactions, without a training
-- ---------------------------------------------------------------------------

CREATE FUNCTION embed(graph text, neighbours anyarray, weights real[] DEFAULT NULL, features jsonb DEFAULT NULL,
  as_object boolean DEFAULT false)
RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embed' LANGUAGE C STABLE;

COMMENT ON FUNCTION embed(text, anyarray, real[], jsonb, boolean) IS
'The vector that a user with these objects and features would have, computed by the last training of the graph; nothing is stored. The user need not exist: score it by dot() with vectors of objects, or by score() with a model.
neighbours: keys of objects, in their own type or as text[]; those that the training did not know are left out, repeats count once (with weights: together). weights: one for each, finite and >= 0, as the weights of interactions are; default all 1. features: an object with the columns of the graph''s table of users as members, those left out count as NULL; only for graphs with features of users (of objects with as_object). as_object: true for the vector of an object with these users.
Result: as many numbers as stored vectors have, NULL when the graph knows none of the neighbours and no features are given.';

-- A bare '{1,2,3}' has no type that would tell which array it is.
CREATE FUNCTION embed(graph text, neighbours text, weights real[] DEFAULT NULL, features jsonb DEFAULT NULL,
  as_object boolean DEFAULT false)
RETURNS real[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT behavpred.embed(graph, neighbours::text[], weights, features, as_object) $$;

COMMENT ON FUNCTION embed(text, text, real[], jsonb, boolean) IS 'The same, the keys as the text of an array, such as ''{1,2,3}''';

CREATE FUNCTION refresh(graph text, users text[] DEFAULT NULL, objects text[] DEFAULT NULL,
  OUT users_refreshed bigint, OUT users_added bigint, OUT users_removed bigint,
  OUT objects_refreshed bigint, OUT objects_added bigint, OUT objects_removed bigint,
  OUT left_out bigint, OUT interactions_read bigint, OUT seconds float8)
RETURNS record
AS 'MODULE_PATHNAME', 'behavpred_refresh' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION refresh(text, text[], text[]) IS
'Write the vectors of these users and objects anew from all their interactions as they are now, folded into the last training, objects first. For the owner of the graph and who was granted train.
users, objects: keys as text, each once; NULL means none.
Result: vectors written, and of them those of nodes that had none; vectors removed because their node has no interaction and no row of features any more; nodes left out because none of their neighbours has a vector; rows of interactions read; seconds.';

REVOKE EXECUTE ON FUNCTION refresh(text, text[], text[]) FROM PUBLIC;

CREATE PROCEDURE run_refresh(graph text, max_seconds float8 DEFAULT NULL, batch int DEFAULT 10000, neighbours boolean DEFAULT false)
AS 'MODULE_PATHNAME', 'behavpred_run_refresh' LANGUAGE C;

COMMENT ON PROCEDURE run_refresh(text, float8, int, boolean) IS
'Empty the queue of changes that capture_changes() fills, oldest first: users get their vectors anew, new objects get their first, users without an interaction and a row of features lose theirs. Objects that have a vector keep it until the next training, unless neighbours is true. Each batch is a transaction of its own; what is not done when max_seconds have passed, or after an error, stays in the queue. Several may run at a time, also beside a training. Not inside a transaction block or a function.
max_seconds: from 0 on, default until the queue is empty. batch: about how many users in a transaction, 100 to 1000000, default 10000; ten times as many when no index begins with the user column, because each batch is then a scan of the interactions. neighbours: true computes anew the vectors of the objects at the other end of changed interactions, too.
Result: a notice with what was done and how interactions were read.';

REVOKE EXECUTE ON PROCEDURE run_refresh(text, float8, int, boolean) FROM PUBLIC;
