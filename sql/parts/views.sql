-- ---------------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------------

-- PostgreSQL 14 reads a view as its owner, past the policies above, so the views say
-- themselves whose rows are seen.
CREATE FUNCTION sees_rows_of(owner name) RETURNS boolean
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT owner = current_user
    OR EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls))
$$;

COMMENT ON FUNCTION sees_rows_of(name) IS 'For the views: whether the current role sees the rows of this one';

CREATE VIEW graphs AS
SELECT g.graph, g.owner, g.created_at, g.interactions, g.user_column, g.object_column,
       g.behavior_column, g.behaviors, g.value_column, g.min_value, g.weight_column, g.time_column, g.since,
       g.users, g.user_features, g.objects, g.object_features, g.max_degree, g.row_security,
       g.user_embeddings, g.object_embeddings, g.trained_run, r.finished_at AS trained_at
FROM registered_graph g
LEFT JOIN training_run r ON r.run_id = g.trained_run
WHERE sees_rows_of(g.owner);

COMMENT ON VIEW graphs IS 'Your graphs, with the run that made their embeddings';

CREATE VIEW targets AS
SELECT t.target, t.graph, t.owner, t.created_at, t.objects, t.seeds, t.candidates, t.negatives, t.horizon,
       t.deployed_version, m.trained_at
FROM registered_target t
LEFT JOIN trained_model m ON m.target = t.target AND m.version = t.deployed_version
WHERE sees_rows_of(t.owner);

COMMENT ON VIEW targets IS 'Your targets, with the version that predicts now';

CREATE VIEW models AS
SELECT m.target, m.version, m.version = t.deployed_version AS deployed, m.owner, m.trained_at, m.run_id, m.metrics
FROM trained_model m
JOIN registered_target t ON t.target = m.target
WHERE sees_rows_of(m.owner);

COMMENT ON VIEW models IS 'Versions of your models, with their quality';

CREATE VIEW runs AS
SELECT r.run_id, r.graph, r.target, r.version, r.owner, r.pid, r.status, r.started_at, r.finished_at,
       extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds,
       r.seed, r.threads, r.options, r.result
FROM training_run r
WHERE sees_rows_of(r.owner);

COMMENT ON VIEW runs IS 'Your trainings of graphs (target is NULL) and targets';

CREATE VIEW training_log AS
SELECT e.run_id, r.graph, e.epoch, e.loss, e.recall_at_20, e.ndcg_at_20, e.seconds
FROM training_epoch e
JOIN training_run r ON r.run_id = e.run_id
WHERE sees_rows_of(e.owner);

COMMENT ON VIEW training_log IS 'Epochs of your trainings of graphs: loss, quality on held-out edges, seconds';
