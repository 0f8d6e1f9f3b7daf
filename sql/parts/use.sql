-- ---------------------------------------------------------------------------
-- Use
-- ---------------------------------------------------------------------------

CREATE FUNCTION score(model model, embedding real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_score' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION score(model, real[]) IS
  'Probability, 0 to 1, that the user with this embedding does it. Pure: may stand in parallel scans, on shards, in generated columns';

CREATE FUNCTION predict(target text, user_id anyelement) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_predict' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION predict(target text, user_id text) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_predict' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION predict(text, anyelement) IS
  'Probability, 0 to 1, that the user does what the target stands for, among the target''s candidates; NULL for a user the graph does not know';
COMMENT ON FUNCTION predict(text, text) IS
  'The same, the user''s key as text';

CREATE FUNCTION audience(
  target text, size bigint DEFAULT NULL, fraction float8 DEFAULT NULL,
  min_probability float8 DEFAULT NULL, min_lift float8 DEFAULT NULL,
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS TABLE (rank bigint, user_key text, probability float8, lift float8)
AS 'MODULE_PATHNAME', 'behavpred_audience' LANGUAGE C STABLE;

COMMENT ON FUNCTION audience(text, bigint, float8, float8, float8, boolean, regclass, int) IS
  'The users most likely to do it, best first, ties by key. All given conditions hold: size, fraction of the candidates that are not left out (above 0, at most 1; rounded, at least one user), min_probability, min_lift (probability over the base rate); none given: the best 1,000. Users who did it and seeds are left out unless exclude_known is false. candidates: choose among the users of this relation, default those of the target. threads: default behavpred.threads; does not change the result';

CREATE FUNCTION audience_into(
  target text, destination text, size bigint DEFAULT NULL, fraction float8 DEFAULT NULL,
  min_probability float8 DEFAULT NULL, min_lift float8 DEFAULT NULL,
  exclude_known boolean DEFAULT true, candidates regclass DEFAULT NULL, threads int DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'behavpred_audience_into' LANGUAGE C VOLATILE;

COMMENT ON FUNCTION audience_into(text, text, bigint, float8, float8, float8, boolean, regclass, int) IS
  'audience() into a new table of yours, destination (a name, with or without a schema), with the columns rank, the user column in its own type as primary key, probability, lift; returns the number of rows';

CREATE FUNCTION recommend(graph text, user_id anyelement, k int DEFAULT 10, exclude_seen boolean DEFAULT true)
RETURNS TABLE (rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend' LANGUAGE C STABLE STRICT;
CREATE FUNCTION recommend(graph text, user_id text, k int DEFAULT 10, exclude_seen boolean DEFAULT true)
RETURNS TABLE (rank int, object_key text, score float8)
AS 'MODULE_PATHNAME', 'behavpred_recommend' LANGUAGE C STABLE STRICT;

COMMENT ON FUNCTION recommend(text, anyelement, int, boolean) IS
  'The k objects with the highest score for a user, exactly; exclude_seen leaves out those he has interacted with. No rows for a user the graph does not know';
COMMENT ON FUNCTION recommend(text, text, int, boolean) IS 'The same, the user''s key as text';

CREATE FUNCTION embedding(graph text, user_id anyelement) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION embedding(graph text, user_id text) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION embedding(text, anyelement) IS
  'A user''s stored vector: the unit vector divided by the root of the temperature, then 1, then the activity. NULL for a user the graph does not know';
COMMENT ON FUNCTION embedding(text, text) IS 'The same, the user''s key as text';
CREATE FUNCTION object_embedding(graph text, object_id anyelement) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_object_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION object_embedding(graph text, object_id text) RETURNS real[]
AS 'MODULE_PATHNAME', 'behavpred_object_embedding' LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION object_embedding(text, anyelement) IS
  'An object''s stored vector, the last two numbers its bias and 1; dot(embedding, object_embedding) is the score. NULL for an object the graph does not know';
COMMENT ON FUNCTION object_embedding(text, text) IS 'The same, the object''s key as text';

CREATE FUNCTION dot(a real[], b real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_dot' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION dot(real[], real[]) IS 'Dot product of two arrays of the same length, summed in double precision';
CREATE FUNCTION cosine(a real[], b real[]) RETURNS float8
AS 'MODULE_PATHNAME', 'behavpred_cosine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION cosine(real[], real[]) IS 'Cosine of two arrays of the same length, -1 to 1; NULL when one of them has length zero';

CREATE FUNCTION version() RETURNS text
AS 'MODULE_PATHNAME', 'behavpred_version' LANGUAGE C IMMUTABLE PARALLEL SAFE;

-- Qualified, because pg_catalog has one of this name.
COMMENT ON FUNCTION behavpred.version() IS 'Version of the loaded library';

