-- ---------------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------------

-- PostgreSQL 14 reads a view as its owner, past the policies above, so the views say
-- themselves whose rows are seen.
CREATE FUNCTION behavpred_internal.sees_rows_of(owner name) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT owner = current_user
    OR EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls))
$$;

COMMENT ON FUNCTION behavpred_internal.sees_rows_of(name) IS 'For the views: whether the current role sees the rows of this one';

CREATE FUNCTION behavpred_internal.sees_target(owner name, graph text, target text, privilege int) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT behavpred_internal.sees_rows_of(owner) OR behavpred_internal.privilege_on(owner, graph, target) >= privilege $$;

COMMENT ON FUNCTION behavpred_internal.sees_target(name, text, text, int) IS
'For the views: whether the current role sees the rows of this one, or was granted the privilege (1 predict, 2 read, 3 train) on a target of a graph, or on the graph when target is NULL';

CREATE VIEW graphs AS
SELECT g.graph, g.owner, g.created_at, g.interactions, g.user_column, g.object_column,
       g.behavior_column, g.behaviors, g.value_column, g.min_value, g.weight_column, g.time_column, g.since,
       g.users, g.user_features, g.objects, g.object_features, g.max_degree, g.row_security,
       g.user_embeddings, g.object_embeddings, g.trained_run, r.finished_at AS trained_at
FROM registered_graph g
LEFT JOIN training_run r ON r.run_id = g.trained_run
WHERE behavpred_internal.sees_target(g.owner, g.graph, NULL, 1);

COMMENT ON VIEW graphs IS 'Your graphs and those you were granted a privilege on, with the run that made their embeddings';

CREATE VIEW targets AS
SELECT t.target, t.graph, t.owner, t.created_at, t.objects, t.seeds, t.candidates, t.negatives, t.horizon,
       t.deployed_version, m.trained_at, d.deployed_at, d.deployed_by
FROM registered_target t
LEFT JOIN trained_model m ON m.target = t.target AND m.version = t.deployed_version
LEFT JOIN LATERAL (SELECT d.deployed_at, d.deployed_by FROM model_deployment d
                   WHERE d.target = t.target ORDER BY d.deployment_id DESC LIMIT 1) d ON true
WHERE behavpred_internal.sees_target(t.owner, t.graph, t.target, 1);

COMMENT ON VIEW targets IS 'Your targets and those you were granted a privilege on, with the version that predicts now, since when, and who deployed it';

CREATE VIEW models AS
SELECT m.target, m.version, m.version = t.deployed_version AS deployed, m.owner, m.trained_at, m.run_id, m.metrics,
       behavpred_internal.model_fits(t.graph, m.graph_run, g.trained_run) AS usable, m.metrics ->> 'teacher' AS teacher,
       (SELECT max(d.deployed_at) FROM model_deployment d WHERE d.target = m.target AND d.version = m.version) AS deployed_at,
       behavpred_internal.model_cosine(t.graph, m.graph_run, g.trained_run) AS vector_cosine
FROM trained_model m
JOIN registered_target t ON t.target = m.target
JOIN registered_graph g ON g.graph = t.graph
WHERE behavpred_internal.sees_target(m.owner, t.graph, m.target, 2);

COMMENT ON VIEW models IS 'Versions of the models that you may read, with their quality; usable: it fits the graph''s present embeddings; teacher: object, or seeds (the fallback for a target whose objects the graph does not know); deployed_at: the last time it was deployed; vector_cosine: how near the present vectors of users are to those it was trained on, 1 for the same run';

-- The interval of an AUC is that of Hanley and McNeil, from the numbers of the test part.
CREATE VIEW metrics AS
SELECT m.target, m.version, x.metric, x.value,
       CASE WHEN s.error IS NOT NULL THEN greatest(0, x.value - 1.96 * s.error) END AS low,
       CASE WHEN s.error IS NOT NULL THEN least(1, x.value + 1.96 * s.error) END AS high,
       c.positives + c.negatives AS n, c.positives
FROM trained_model m
JOIN registered_target t ON t.target = m.target
CROSS JOIN LATERAL (SELECT (m.metrics ->> 'test_positives')::bigint AS positives,
                           (m.metrics ->> 'test_negatives')::bigint AS negatives) c
CROSS JOIN LATERAL (SELECT key AS metric, value::float8 AS value FROM jsonb_each_text(m.metrics)
                    WHERE key IN ('auc', 'pr_auc', 'log_loss', 'brier', 'ece', 'lift_at_1pct', 'base_rate', 'prior_log_loss',
                                  'teacher_auc', 'centroid_auc', 'activity_auc', 'incumbent_auc') AND value IS NOT NULL) x
CROSS JOIN LATERAL (
  SELECT CASE WHEN x.metric IN ('auc', 'teacher_auc', 'centroid_auc', 'activity_auc', 'incumbent_auc')
                   AND c.positives > 0 AND c.negatives > 0
         THEN sqrt(greatest(0, x.value * (1 - x.value) + (c.positives - 1) * (x.value / (2 - x.value) - x.value ^ 2)
                               + (c.negatives - 1) * (2 * x.value ^ 2 / (1 + x.value) - x.value ^ 2))
                   / (c.positives * c.negatives)) END AS error) s
WHERE behavpred_internal.sees_target(m.owner, t.graph, m.target, 2);

COMMENT ON VIEW metrics IS 'Quality of the models that you may read, one row a metric, measured on the test part of n users with so many positives; low to high: 95 % interval of an AUC, NULL for other metrics; incumbent_auc: of the model that was deployed before, on the same users';

CREATE VIEW training_log AS
SELECT e.run_id, r.graph, e.epoch, e.loss, e.recall_at_20, e.ndcg_at_20, e.seconds
FROM training_epoch e
JOIN training_run r ON r.run_id = e.run_id
WHERE behavpred_internal.sees_target(e.owner, r.graph, r.target, 2);

COMMENT ON VIEW training_log IS 'Epochs of the trainings of graphs that you may read: loss, quality on held-out edges, seconds';
