-- Runs that ended in another installation are kept as history. They take no slot of a job: the job's own run may have it too.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE run ADD COLUMN origin text NOT NULL DEFAULT '';
COMMENT ON COLUMN run.origin IS 'where it ran, of a run that was imported; empty: here';
-- Only an ended run can come from elsewhere, so that no engine takes one up.
ALTER TABLE run ADD CONSTRAINT run_origin_check CHECK (origin = '' OR end_time IS NOT NULL);

-- A slot of a job is fired once.
DROP INDEX run_slot_idx;
CREATE UNIQUE INDEX run_slot_idx ON run (job_uid, slot_time) WHERE job_uid IS NOT NULL AND origin = '';
