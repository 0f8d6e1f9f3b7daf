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

-- Does routing part a user's links by what caused them? A link's subspace is the one in
-- which its user and object are most alike. Of all pairs of links of one user: the share
-- that fall into one subspace, among pairs with the same planted cause and among pairs
-- with two causes. Untrained vectors give the same share for both. Every 10th user.
CREATE FUNCTION measure.parted_links(
  data name, user_embeddings regclass, object_embeddings regclass, factors int,
  OUT alike float8, OUT apart float8)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($query$
    WITH links AS (
      SELECT user_id, factor, (
          SELECT s FROM generate_series(0, %4$s - 1) AS s
          ORDER BY behavpred.cosine(u.embedding[s * d + 1 : s * d + d], o.embedding[s * d + 1 : s * d + d]) DESC LIMIT 1) AS subspace
      FROM (SELECT DISTINCT user_id, object_id, factor FROM %1$I.event_truth
            WHERE factor IS NOT NULL AND user_id %% 10 = 0) AS t
        JOIN %2$s AS u USING (user_id) JOIN %3$s AS o USING (object_id)
        CROSS JOIN LATERAL (SELECT (array_length(u.embedding, 1) - 1) / %4$s AS d) AS width
    ), cells AS (
      SELECT user_id, factor, subspace, count(*) AS n FROM links GROUP BY user_id, factor, subspace
    ), of_one_cause AS (
      SELECT sum(all_n * (all_n - 1)) AS pairs, sum(squares - all_n) AS together
      FROM (SELECT sum(n) AS all_n, sum(n * n) AS squares FROM cells GROUP BY user_id, factor) AS c
    ), of_any_cause AS (
      SELECT sum(all_n * (all_n - 1)) AS pairs FROM (SELECT sum(n) AS all_n FROM cells GROUP BY user_id) AS c
    ), in_one_subspace AS (
      SELECT sum(all_n * (all_n - 1)) AS pairs FROM (SELECT sum(n) AS all_n FROM cells GROUP BY user_id, subspace) AS c
    )
    SELECT o.together / o.pairs, (i.pairs - o.together) / (a.pairs - o.pairs)
    FROM of_one_cause AS o, of_any_cause AS a, in_one_subspace AS i
  $query$, data, user_embeddings, object_embeddings, factors) INTO alike, apart;
END
$$;
