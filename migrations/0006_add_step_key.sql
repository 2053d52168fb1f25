-- Why a step whose result was looked for was run all the same: which earlier step is the same one, to be compared with.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE task ADD COLUMN step_key text;
COMMENT ON COLUMN task.step_key IS 'of a cached step: which one it is of which pipeline, whatever it is given';

CREATE INDEX task_step_key_idx ON task (step_key, end_time DESC)
    WHERE step_key IS NOT NULL AND state = 'SUCCEEDED' AND cached_run_uid IS NULL;
