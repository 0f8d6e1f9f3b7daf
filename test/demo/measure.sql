-- measure.sql: how good a score is, for the demo and the tests. Takes queries as text,
-- so it is for their use only.

CREATE SCHEMA measure;

-- Area under the ROC curve of a query that gives (happened boolean, score); ties count
-- half. By ranks (Mann and Whitney).
CREATE FUNCTION measure.auc(cases text) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
  result float8;
BEGIN
  EXECUTE format($query$
    WITH ranked AS (
      SELECT happened, rank() OVER (ORDER BY score) + (count(*) OVER (PARTITION BY score) - 1) / 2.0 AS rank
      FROM (%s) AS cases
    ), positives AS (
      SELECT count(*)::float8 AS n FROM ranked WHERE happened
    )
    SELECT (sum(rank) FILTER (WHERE happened) - n * (n + 1) / 2) / nullif(n * (count(*) - n), 0)
    FROM ranked, positives GROUP BY n
  $query$, cases) INTO result;
  RETURN result;
END
$$;

-- Share of events whose planted factor a trained network of 4 subspaces tells: the
-- subspace of an event is the one in which its user and object are most alike, and
-- subspaces are named by the best one-to-one assignment. Looks at every 20th event.
CREATE FUNCTION measure.recovered_factors(data name, user_embeddings regclass, object_embeddings regclass)
RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
  result float8;
BEGIN
  EXECUTE format($query$
    WITH edges AS (
      SELECT t.factor, (
          SELECT s FROM generate_series(0, 3) AS s
          ORDER BY behavpred.cosine(u.embedding[s * d + 1 : s * d + d], o.embedding[s * d + 1 : s * d + d]) DESC LIMIT 1) AS subspace
      FROM %1$I.event_truth AS t
        JOIN %2$s AS u USING (user_id) JOIN %3$s AS o USING (object_id)
        CROSS JOIN LATERAL (SELECT (array_length(u.embedding, 1) - 1) / 4 AS d) AS width
      WHERE t.factor IS NOT NULL AND t.event_id %% 20 = 0
        AND t.object_id NOT IN (SELECT target FROM %1$I.target_truth)
    ), counted AS (
      SELECT f AS factor, s AS subspace, (SELECT count(*) FROM edges WHERE factor = f AND subspace = s) AS n
      FROM generate_series(1, 4) AS f, generate_series(0, 3) AS s
    )
    SELECT max(a.n + b.n + c.n + d.n) / (SELECT count(*) FROM edges)::float8
    FROM counted AS a, counted AS b, counted AS c, counted AS d
    WHERE (a.factor, b.factor, c.factor, d.factor) = (1, 2, 3, 4)
      AND a.subspace NOT IN (b.subspace, c.subspace, d.subspace)
      AND b.subspace NOT IN (c.subspace, d.subspace) AND c.subspace <> d.subspace
  $query$, data, user_embeddings, object_embeddings) INTO result;
  RETURN result;
END
$$;
