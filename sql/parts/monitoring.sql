
-- ---------------------------------------------------------------------------
-- Monitoring: quality over time, one number a row, as Grafana and Metabase draw it
-- ---------------------------------------------------------------------------

CREATE VIEW quality_history AS
SELECT r.finished_at AS at, r.graph, NULL::text AS target, r.run_id, NULL::int AS version, x.metric, x.value, NULL::float8 AS low, NULL::float8 AS high
FROM runs r
CROSS JOIN LATERAL (VALUES
  ('recall_at_20', (r.result ->> 'recall_at_20')::float8), ('ndcg_at_20', (r.result ->> 'ndcg_at_20')::float8), ('loss', (r.result ->> 'loss')::float8),
  ('users', (r.result ->> 'users')::float8), ('objects', (r.result ->> 'objects')::float8), ('edges', (r.result ->> 'edges')::float8),
  ('seconds', r.seconds), ('peak_bytes', r.peak_bytes::float8)) AS x (metric, value)
WHERE r.target IS NULL AND r.status = 'done' AND x.value IS NOT NULL
UNION ALL
SELECT m.trained_at, t.graph, m.target, m.run_id, m.version, q.metric, q.value, q.low, q.high
FROM models m
JOIN targets t ON t.target = m.target
JOIN metrics q ON q.target = m.target AND q.version = m.version;

COMMENT ON VIEW quality_history IS 'What each training that you may read came to, one number a row with its time: of graphs (target is NULL) quality on held-out edges, sizes, seconds and bytes; of targets the metrics of each version, low to high as in the view metrics';
