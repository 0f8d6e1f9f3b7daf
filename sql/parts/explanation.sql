-- ---------------------------------------------------------------------------
-- Explanation
-- ---------------------------------------------------------------------------
CREATE FUNCTION explain(target text, user_id anyelement, interactions int DEFAULT 20)
RETURNS TABLE (kind text, name text, contribution float8, by_factor float8[])
AS 'MODULE_PATHNAME', 'behavpred_explain' LANGUAGE C STABLE STRICT;
CREATE FUNCTION explain(target text, user_id text, interactions int DEFAULT 20)
RETURNS TABLE (kind text, name text, contribution float8, by_factor float8[])
AS 'MODULE_PATHNAME', 'behavpred_explain' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION explain(text, anyelement, int) IS
  'What the log odds of predict() are made of. The rows base (a user without direction and activity), factor (of the graph network, by number), activity, calibration and remainder (rounding) add up to ln(p / (1 - p)). The rows interaction (the user''s objects with the largest parts, name is the key) and other_interactions (the rest, name is how many) share out the factors'' parts, and add up to them: in each factor in proportion to the probability that it was the reason for the interaction; by_factor is the part in each. interactions: how many, 0 reads none. No rows for a user the graph does not know';
COMMENT ON FUNCTION explain(text, text, int) IS 'The same, the user''s key as text';
