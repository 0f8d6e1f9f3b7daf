-- ---------------------------------------------------------------------------
-- Jobs: procedures that commit between their steps, what they leave behind, and
-- what others see of a call while it runs
-- ---------------------------------------------------------------------------

ALTER TABLE training_run DROP CONSTRAINT training_run_status_check;
ALTER TABLE training_run ADD CONSTRAINT training_run_status_check
  CHECK (status IN ('running', 'paused', 'done', 'failed'));

CREATE TABLE training_job (
  run_id bigint PRIMARY KEY REFERENCES training_run ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  role name NOT NULL DEFAULT session_user,
  attempts int NOT NULL DEFAULT 1,
  attempt_started_at timestamptz NOT NULL,
  seconds float8 NOT NULL DEFAULT 0,
  peak_bytes bigint,
  fingerprint bigint NOT NULL,
  error_text text,
  error_code text
);

CREATE TABLE training_checkpoint (
  run_id bigint PRIMARY KEY REFERENCES training_run ON DELETE CASCADE,
  owner name NOT NULL DEFAULT current_user,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  epochs int NOT NULL,
  steps bigint NOT NULL,
  bytes bigint NOT NULL
);

CREATE TABLE training_checkpoint_part (
  run_id bigint NOT NULL REFERENCES training_checkpoint ON DELETE CASCADE,
  part int NOT NULL,
  owner name NOT NULL DEFAULT current_user,
  fingerprint bigint NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (run_id, part)
);

-- Numbers of a network do not compress.
ALTER TABLE training_checkpoint_part ALTER COLUMN data SET STORAGE EXTERNAL;

COMMENT ON TABLE training_job IS 'Trainings that run as jobs: who started them, how long they took, why they failed';
COMMENT ON TABLE training_checkpoint IS 'Where unfinished jobs stand: epochs that ended, steps of the one after them';
COMMENT ON TABLE training_checkpoint_part IS 'The complete state of the network at a checkpoint, in pieces';

GRANT SELECT, INSERT, UPDATE, DELETE ON training_job, training_checkpoint, training_checkpoint_part TO PUBLIC;

ALTER TABLE training_job ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_checkpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE training_checkpoint_part ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_rows ON training_job USING (owner = current_user);
CREATE POLICY own_rows ON training_checkpoint USING (owner = current_user);
CREATE POLICY own_rows ON training_checkpoint_part USING (owner = current_user);

-- A job that another role was granted belongs to the owner of the graph all the same; whoever
-- may read a run may read how it fared.
CREATE POLICY granted_rows ON training_job FOR SELECT
  USING (EXISTS (SELECT FROM training_run r WHERE r.run_id = training_job.run_id AND r.owner = training_job.owner));
CREATE POLICY granted_training ON training_job
  USING (EXISTS (SELECT FROM training_run r
                 WHERE r.run_id = training_job.run_id AND r.owner = training_job.owner
                   AND behavpred_internal.privilege_on(r.owner, r.graph, r.target) >= 3));
CREATE POLICY granted_training ON training_checkpoint
  USING (EXISTS (SELECT FROM training_run r
                 WHERE r.run_id = training_checkpoint.run_id AND r.owner = training_checkpoint.owner
                   AND behavpred_internal.privilege_on(r.owner, r.graph, r.target) >= 3));
CREATE POLICY granted_training ON training_checkpoint_part
  USING (EXISTS (SELECT FROM training_run r
                 WHERE r.run_id = training_checkpoint_part.run_id AND r.owner = training_checkpoint_part.owner
                   AND behavpred_internal.privilege_on(r.owner, r.graph, r.target) >= 3));

COMMENT ON POLICY granted_rows ON training_job IS 'Jobs of the runs that the role may read';
COMMENT ON POLICY granted_training ON training_job IS 'Trainers run jobs for the owner';
COMMENT ON POLICY granted_training ON training_checkpoint IS 'Trainers run jobs for the owner';
COMMENT ON POLICY granted_training ON training_checkpoint_part IS 'Trainers run jobs for the owner';
COMMENT ON POLICY own_rows ON training_job IS 'Every role sees and changes its own jobs';
COMMENT ON POLICY own_rows ON training_checkpoint IS 'Every role sees and changes its own checkpoints';
COMMENT ON POLICY own_rows ON training_checkpoint_part IS 'Every role sees and changes its own checkpoints';

SELECT pg_extension_config_dump('training_job', '');
SELECT pg_extension_config_dump('training_checkpoint', '');
SELECT pg_extension_config_dump('training_checkpoint_part', '');

CREATE PROCEDURE run_graph(
  graph text,
  dimension int DEFAULT 64, factors int DEFAULT 4, layers int DEFAULT 2,
  routing_iterations int DEFAULT 2,
  epochs int DEFAULT NULL, batch_size int DEFAULT NULL, learning_rate float8 DEFAULT NULL,
  negatives int DEFAULT NULL, temperature float8 DEFAULT NULL, patience int DEFAULT NULL,
  validation_fraction float8 DEFAULT NULL, seed bigint DEFAULT NULL, threads int DEFAULT NULL,
  options jsonb DEFAULT NULL,
  max_seconds float8 DEFAULT NULL, resume boolean DEFAULT true, checkpoint_seconds float8 DEFAULT 60)
AS 'MODULE_PATHNAME', 'behavpred_run_graph' LANGUAGE C;

COMMENT ON PROCEDURE run_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb, float8, boolean, float8) IS
'train_graph() as a job: loads, commits, computes without a snapshot (so VACUUM is not held back), commits a checkpoint now and then, and stores the vectors in one transaction at the end. The same arguments give the same vectors as train_graph(), to the byte, however often it was interrupted. Not inside a transaction block or a function.
The first fifteen arguments are those of train_graph(). max_seconds: from 0 on; when they have passed, it stops at a checkpoint with status paused, default never. resume: go on from the checkpoint of a run that was paused, failed or crashed, when data, options and seed are the same (default true); otherwise it starts afresh. checkpoint_seconds: from 0 on, seconds between checkpoints (0 = after each step), default 60.
Result: a row in the view runs, from its beginning on; progress in the views progress and training_log.';

REVOKE EXECUTE ON PROCEDURE
  run_graph(text, int, int, int, int, int, int, float8, int, float8, int, float8, bigint, int, jsonb, float8, boolean, float8)
FROM PUBLIC;

CREATE PROCEDURE run_targets(
  graph text DEFAULT NULL, targets text[] DEFAULT NULL,
  model text DEFAULT 'logistic', hidden int[] DEFAULT NULL,
  soft_weight float8 DEFAULT 0.5, seed_weights text DEFAULT 'isolation_forest',
  negative_ratio float8 DEFAULT NULL, calibration text DEFAULT 'platt',
  seed bigint DEFAULT NULL, threads int DEFAULT NULL, options jsonb DEFAULT NULL,
  max_seconds float8 DEFAULT NULL)
AS 'MODULE_PATHNAME', 'behavpred_run_targets' LANGUAGE C;

COMMENT ON PROCEDURE run_targets(text, text[], text, int[], float8, text, float8, text, bigint, int, jsonb, float8) IS
'train_targets() as a job: commits after every 16 targets, those first whose last training is longest ago. A target that cannot be trained is recorded as failed in the view runs and stops no other; it is an error when that is so of all. Not inside a transaction block or a function.
graph, targets: the targets named, else all of the graph, else all of yours; the others are those of train_targets(), on which EXECUTE is needed as well. max_seconds: from 0 on; when they have passed, it stops after the 16 it is at, and the next call begins with those that are left.';

REVOKE EXECUTE ON PROCEDURE
  run_targets(text, text[], text, int[], float8, text, float8, text, bigint, int, jsonb, float8)
FROM PUBLIC;

CREATE PROCEDURE run_maintenance(keep_versions int DEFAULT 5, keep_runs int DEFAULT 100)
AS 'MODULE_PATHNAME', 'behavpred_run_maintenance' LANGUAGE C;

COMMENT ON PROCEDURE run_maintenance(int, int) IS
'Throws away what is old, of what is yours: versions of models, runs, checkpoints that a later training has made useless. Not inside a transaction block or a function.
keep_versions: how many of the latest versions of each target stay, from 1 on, default 5; the deployed version, and the one that rollback() goes back to, stay in any case. keep_runs: how many of the latest runs of each graph and target stay, from 1 on, default 100; so do those of vectors and models that are there.';

REVOKE EXECUTE ON PROCEDURE run_maintenance(int, int) FROM PUBLIC;

CREATE FUNCTION behavpred_internal.progress_slots()
RETURNS TABLE (pid int, role name, graph text, target text, phase text, done bigint, total bigint,
               percent float8, eta float8, bytes bigint, started timestamptz)
AS 'MODULE_PATHNAME', 'behavpred_progress_slots' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION behavpred_internal.progress_slots() IS 'For the view progress: the calls of this database that the current role may see, at most 16';

CREATE VIEW progress AS
SELECT p.pid, p.role, p.graph, p.target, p.phase, p.done, p.total, p.percent, p.eta, p.bytes, p.started
FROM behavpred_internal.progress_slots() p;

COMMENT ON VIEW progress IS 'Your long calls that run now: phase, done of total steps of it, seconds that it will take yet (eta), bytes of memory';

-- A run whose process is gone, or whose number belongs to a younger process, has crashed. A
-- standby cannot know.
CREATE FUNCTION behavpred_internal.run_is_alive(pid int, started_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pg_is_in_recovery() OR EXISTS (
    SELECT FROM pg_stat_activity a
    WHERE a.pid = run_is_alive.pid AND (a.backend_start IS NULL OR a.backend_start <= run_is_alive.started_at))
$$;

COMMENT ON FUNCTION behavpred_internal.run_is_alive(int, timestamptz) IS 'For the view runs: whether the process that began a run is still there';

CREATE VIEW runs AS
SELECT r.run_id, r.graph, r.target, r.version, r.owner, r.pid,
       CASE WHEN r.status <> 'running' OR behavpred_internal.run_is_alive(r.pid, coalesce(j.attempt_started_at, r.started_at))
            THEN r.status ELSE 'crashed' END AS status,
       r.started_at, r.finished_at,
       CASE WHEN j.run_id IS NULL THEN extract(epoch FROM r.finished_at - r.started_at)::float8
            ELSE j.seconds END AS seconds,
       r.seed, r.threads, r.options, r.result,
       coalesce(j.role, r.owner) AS role, coalesce(j.attempts, 1) AS attempts,
       coalesce(j.peak_bytes, (r.result ->> 'memory_peak')::bigint) AS peak_bytes,
       j.error_text, j.error_code AS sqlstate
FROM training_run r
LEFT JOIN training_job j ON j.run_id = r.run_id
WHERE behavpred_internal.sees_target(r.owner, r.graph, r.target, 2);

COMMENT ON VIEW runs IS 'Trainings that you may read, of graphs (target is NULL) and targets: running, paused, done, failed or crashed; seconds of all attempts';
