-- ---------------------------------------------------------------------------
-- The nightly recipe: one procedure for pg_cron
-- ---------------------------------------------------------------------------

-- What a later training must be told to make a network like the kept one.
CREATE FUNCTION behavpred_internal.nightly_options(graph text, warm boolean) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT jsonb_object_agg(o.key, o.value) || jsonb_build_object('warm_start', warm)
  FROM behavpred.registered_graph g
  JOIN behavpred.training_run r ON r.run_id = g.trained_run
  CROSS JOIN LATERAL jsonb_each(r.options) o
  WHERE g.graph = $1
    AND o.key = ANY ('{hide_positives,routing,routing_temperature,attention,attention_width,neighbour_scale,keep_lengths,mapping,layer_mean,full_gradient,id_embeddings,loss,spectral_start,initial_bias,weight_decay,target_fraction,sampled_neighbours,epoch_steps,keep_network}')
$$;

COMMENT ON FUNCTION behavpred_internal.nightly_options(text, boolean) IS
'For run_nightly(): options that make a network of the same kind as that of the graph''s last run';

-- Verdict over all measures of a graph, or of a target: the worst; retrain when it cannot be checked.
CREATE FUNCTION behavpred_internal.nightly_verdict(graph text, target text) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  worst text;
BEGIN
  SELECT CASE WHEN bool_or(v = 'retrain') THEN 'retrain' WHEN bool_or(v = 'watch') THEN 'watch' ELSE 'ok' END INTO worst
  FROM (SELECT d.verdict AS v FROM behavpred.check_graph_drift($1) d WHERE $2 IS NULL
        UNION ALL SELECT d.verdict FROM behavpred.check_drift($2) d WHERE $2 IS NOT NULL) verdicts;
  RETURN worst;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
  RETURN 'retrain';
END
$$;

COMMENT ON FUNCTION behavpred_internal.nightly_verdict(text, text) IS
'For run_nightly(): the worst verdict on a graph (target NULL) or on a target; retrain when there is nothing to compare with';

-- Without a SET clause, for it commits: names are looked up in pg_catalog as soon as it has said so,
-- which it says again after each step that has ended a transaction.
CREATE PROCEDURE run_nightly(
  graph text, retrain text DEFAULT 'drift', max_seconds float8 DEFAULT NULL,
  keep_versions int DEFAULT 5, keep_runs int DEFAULT 100)
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
DECLARE
  last behavpred.training_run;
  kept boolean;
  captured boolean;
  verdict text;
  target_names text[];
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM behavpred_internal.graph_named(run_nightly.graph);
  SELECT r.* INTO last FROM behavpred.registered_graph g JOIN behavpred.training_run r ON r.run_id = g.trained_run WHERE g.graph = run_nightly.graph;
  IF last.run_id IS NULL OR retrain IS NULL OR retrain <> ALL ('{drift,always,never}') THEN
    RAISE EXCEPTION USING errcode = CASE WHEN last.run_id IS NULL THEN 'object_not_in_prerequisite_state' ELSE 'invalid_parameter_value' END,
      message = CASE WHEN last.run_id IS NULL THEN format('graph "%s" has not been trained', run_nightly.graph) WHEN retrain IS NULL THEN 'retrain is NULL' ELSE format('retrain is "%s"', retrain) END,
      hint = CASE WHEN last.run_id IS NULL THEN format('SELECT * FROM behavpred.train_graph(%L);', run_nightly.graph) ELSE 'It may be drift, always or never.' END;
  END IF;
  SELECT EXISTS (SELECT FROM behavpred.trained_network n WHERE n.graph = run_nightly.graph AND n.run_id = last.run_id) INTO kept;

  -- First the vectors by the network as it is, of what has changed where that is captured, else of everybody; then it
  -- can be seen what has moved.
  SELECT EXISTS (SELECT FROM behavpred.change_capture c WHERE c.graph = run_nightly.graph) INTO captured;
  IF captured THEN
    CALL behavpred.run_refresh(run_nightly.graph, max_seconds);
  ELSIF kept THEN
    CALL behavpred.run_graph(run_nightly.graph, (last.options ->> 'dimension')::int, (last.options ->> 'factors')::int, (last.options ->> 'layers')::int,
      (last.options ->> 'routing_iterations')::int, epochs => 0, seed => last.seed,
      options => behavpred_internal.nightly_options(run_nightly.graph, true));
  END IF;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  IF captured OR kept THEN
    SELECT behavpred_internal.nightly_verdict(run_nightly.graph, NULL) INTO verdict;
    IF verdict = 'ok' AND EXISTS (SELECT FROM behavpred.registered_target t WHERE t.graph = run_nightly.graph AND t.deployed_version IS NOT NULL
                                  AND behavpred_internal.nightly_verdict(t.graph, t.target) <> 'ok') THEN
      verdict := 'watch';
    END IF;
  ELSE
    verdict := 'retrain';
  END IF;
  IF retrain = 'always' OR (retrain = 'drift' AND verdict <> 'ok') THEN
    CALL behavpred.run_graph(run_nightly.graph, (last.options ->> 'dimension')::int, (last.options ->> 'factors')::int, (last.options ->> 'layers')::int,
      (last.options ->> 'routing_iterations')::int, seed => last.seed,
      options => behavpred_internal.nightly_options(run_nightly.graph, kept), max_seconds => max_seconds);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END IF;

  -- Then the targets whose model does not fit any more, or never was; the new version is deployed when it is no worse.
  SELECT array_agg(t.target ORDER BY t.target) INTO target_names
  FROM behavpred.registered_target t
  WHERE t.graph = run_nightly.graph
    AND (retrain = 'always' OR t.deployed_version IS NULL OR (retrain = 'drift' AND behavpred_internal.nightly_verdict(t.graph, t.target) <> 'ok'));
  IF target_names IS NOT NULL THEN
    CALL behavpred.run_targets(run_nightly.graph, target_names, max_seconds => max_seconds);
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END IF;
  RAISE NOTICE USING message = format('graph "%s": drift %s, %s; %s of its targets trained', run_nightly.graph, verdict,
      CASE WHEN retrain = 'always' OR (retrain = 'drift' AND verdict <> 'ok') THEN 'trained' ELSE 'vectors brought up to date' END,
      coalesce(cardinality(target_names), 0));
  CALL behavpred.run_maintenance(keep_versions, keep_runs);
END
$$;

COMMENT ON PROCEDURE run_nightly(text, text, float8, int, int) IS
'For pg_cron, once a night and graph: computes vectors from the present interactions by the network as it is, those of the queue by run_refresh() where changes are captured and everybody''s where not, checks drift, lets the network learn on from where it is when something has moved, trains the targets whose model does not fit any more (a version is deployed when it is no worse on the same test users), and trims history. It commits between these steps and is no part of a transaction block.
retrain: drift (default), always, or never (vectors and first models only). max_seconds: from 0 on, for the refresh and for each of the trainings; a paused one goes on the next time. keep_versions, keep_runs: those of run_maintenance().';

REVOKE EXECUTE ON PROCEDURE run_nightly(text, text, float8, int, int) FROM PUBLIC;
