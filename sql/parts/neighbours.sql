-- ---------------------------------------------------------------------------
-- Neighbours: what is alike, and recommendations for everybody
-- ---------------------------------------------------------------------------
CREATE FUNCTION similar_users(graph text, user_id anyelement, k int DEFAULT 10)
RETURNS TABLE (rank int, user_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_users' LANGUAGE C STABLE STRICT;
CREATE FUNCTION similar_users(graph text, user_id text, k int DEFAULT 10)
RETURNS TABLE (rank int, user_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_users' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION similar_users(text, anyelement, int) IS
  'The k users (1 to 100000) whose vectors point most nearly the same way, exactly: similarity is the cosine, -1 to 1, without the numbers for activity; ties by key. No rows for a user the graph does not know';
COMMENT ON FUNCTION similar_users(text, text, int) IS 'The same, the user''s key as text';

CREATE FUNCTION similar_objects(graph text, object_id anyelement, k int DEFAULT 10)
RETURNS TABLE (rank int, object_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_objects' LANGUAGE C STABLE STRICT;
CREATE FUNCTION similar_objects(graph text, object_id text, k int DEFAULT 10)
RETURNS TABLE (rank int, object_key text, similarity float8)
AS 'MODULE_PATHNAME', 'behavpred_similar_objects' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION similar_objects(text, anyelement, int) IS
  'The k objects (1 to 100000) whose vectors point most nearly the same way, exactly: similarity is the cosine, -1 to 1, without the bias; ties by key. No rows for an object the graph does not know';
COMMENT ON FUNCTION similar_objects(text, text, int) IS 'The same, the object''s key as text';

CREATE FUNCTION recommend_all(
  graph text, k int DEFAULT 10, exclude_seen boolean DEFAULT true, users regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (user_key text, rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend_all' LANGUAGE C STABLE;
COMMENT ON FUNCTION recommend_all(text, int, boolean, regclass, int) IS
  'recommend() for all users of the graph, or those of a relation, users: the k objects (1 to 1000) with the highest score for each, by user key and rank; exclude_seen leaves out those he has interacted with. threads: default behavpred.threads; does not change the result';
REVOKE EXECUTE ON FUNCTION recommend_all(text, int, boolean, regclass, int) FROM PUBLIC;
