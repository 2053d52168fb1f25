-- Priorities, limits, pauses and reruns of runs, what decides a step's results, and what kind of failure ended an attempt.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE run
    ADD COLUMN priority integer NOT NULL DEFAULT 0,
    ADD COLUMN max_parallel_tasks integer,
    ADD COLUMN task_timeout_s double precision,
    ADD COLUMN queue_timeout_s double precision,
    ADD COLUMN cache_max_age_s double precision,
    ADD COLUMN pause_time timestamptz,
    ADD COLUMN pause_request_time timestamptz,
    ADD COLUMN limits_request_time timestamptz,
    ADD COLUMN rerun_of uuid,
    ADD COLUMN cancel_exit_tasks boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT run_priority_check CHECK (priority BETWEEN -1000 AND 1000),
    ADD CONSTRAINT run_max_parallel_tasks_check CHECK (max_parallel_tasks >= 1);
COMMENT ON COLUMN run.pause_time IS 'since then nothing new is to start; the owner takes it up by pause_request_time';
COMMENT ON COLUMN run.limits_request_time IS 'priority or max_parallel_tasks changed, and the owner has not read them yet';
COMMENT ON COLUMN run.rerun_of IS 'uid of a run that may be gone';
COMMENT ON COLUMN run.cancel_exit_tasks IS 'a cancel was asked for that does not spare exit tasks either; until the run has ended';

ALTER TABLE pipeline_version
    ADD COLUMN cache_policy text NOT NULL DEFAULT 'DEFAULT',
    ADD COLUMN cache_max_age_s double precision,
    ADD CONSTRAINT pipeline_version_cache_policy_check CHECK (cache_policy IN ('DEFAULT', 'DISABLED', 'REFRESH'));

ALTER TABLE task
    ADD COLUMN result_key text,
    ADD COLUMN cache_note text NOT NULL DEFAULT '',
    ADD COLUMN queue_time timestamptz;

ALTER TABLE attempt
    ADD COLUMN failure_class text,
    ADD CONSTRAINT attempt_failure_class_check CHECK (
        failure_class IN ('STEP', 'OUT_OF_MEMORY', 'TIMEOUT', 'ENVIRONMENT', 'INPUT', 'LOST')
    );

-- What was asked of a server's runs: looked for at every wake-up.
DROP INDEX run_request_idx;
CREATE INDEX run_request_idx ON run (owner) WHERE cancel_request_time IS NOT NULL
    OR retry_request_time IS NOT NULL OR delete_request_time IS NOT NULL OR pause_request_time IS NOT NULL
    OR limits_request_time IS NOT NULL;
