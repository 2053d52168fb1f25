-- name: due
-- Jobs that need a turn, but for those that are to be left alone, whoever has waited longest first: their time has come,
-- or a run has ended that they do not know of; and in how many seconds the next one is due. Both parts are the first rows
-- of an index.
SELECT ARRAY(
        SELECT uid FROM (
            (
                SELECT uid, attention_time FROM job
                WHERE attention_time <= now() AND uid <> ALL(%(but)s::uuid[])
                ORDER BY attention_time
                LIMIT %(limit)s
            )
            UNION ALL
            (
                SELECT job_uid, coalesce(end_time, now()) FROM run
                WHERE job_unseen AND job_uid <> ALL(%(but)s::uuid[])
                LIMIT %(limit)s
            )
        ) AS found (uid, since)
        GROUP BY uid
        ORDER BY min(since)
        LIMIT %(limit)s
    ),
    (SELECT extract(epoch FROM min(attention_time) - now())::double precision FROM job WHERE attention_time > now());

-- name: lock
-- The job is this transaction's, unless another one has it, or has taken the turn that it needed; what it is has to be
-- read after that.
SELECT uid, now() FROM job
WHERE uid = %(uid)s
    AND (attention_time <= now() OR EXISTS (SELECT 1 FROM run WHERE run.job_uid = job.uid AND run.job_unseen))
FOR UPDATE OF job SKIP LOCKED;

-- name: forget_runs
-- Runs whose job is gone have nobody who has to hear of their end.
UPDATE run SET job_unseen = false
WHERE job_uid = %(uid)s AND job_unseen AND NOT EXISTS (SELECT 1 FROM job WHERE job.uid = %(uid)s);

-- name: waiting
-- The slots that wait, oldest first, those of backfills aside.
SELECT slot_time, kind, due_time, reason
FROM job_slot
WHERE job_uid = %(uid)s AND state = 'WAITING' AND kind IN ('SCHEDULED', 'MANUAL')
ORDER BY slot_time
LIMIT %(limit)s;

-- name: open_backfills
-- The backfills that are not finished, oldest first: how many runs each may have and has, and its first slots that wait.
SELECT backfill.uid, backfill.max_concurrency,
    (SELECT count(*) FROM run WHERE run.backfill_uid = backfill.uid AND run.end_time IS NULL) AS active_count,
    ARRAY(
        SELECT slot_time FROM job_slot
        WHERE job_slot.backfill_uid = backfill.uid AND job_slot.state = 'WAITING'
        ORDER BY slot_time
        LIMIT %(limit)s
    ) AS waiting
FROM backfill
WHERE backfill.job_uid = %(uid)s AND backfill.finish_time IS NULL
ORDER BY backfill.create_time, backfill.uid;

-- name: finish_backfills
-- Those of which nothing waits and nothing runs are finished, well when every slot has a run that succeeded.
UPDATE backfill
SET finish_time = now(),
    state = CASE
        WHEN backfill.state = 'CANCELLING' THEN 'CANCELLED'
        WHEN backfill.slot_count = (
            SELECT count(*) FROM run WHERE run.backfill_uid = backfill.uid AND run.state = 'SUCCEEDED'
        ) THEN 'SUCCEEDED'
        ELSE 'FAILED'
    END
WHERE backfill.job_uid = %(uid)s AND backfill.finish_time IS NULL
    AND NOT EXISTS (SELECT 1 FROM job_slot WHERE job_slot.backfill_uid = backfill.uid AND job_slot.state = 'WAITING')
    AND NOT EXISTS (SELECT 1 FROM run WHERE run.backfill_uid = backfill.uid AND run.end_time IS NULL);

-- name: see_ended
-- The runs that have ended unseen, in the order of their ends; they are seen from then on.
WITH ended AS (
    UPDATE run SET job_unseen = false WHERE job_uid = %(uid)s AND job_unseen
    RETURNING id, state, message, backfill_uid, end_time
)
SELECT id, state, message, backfill_uid FROM ended WHERE end_time IS NOT NULL ORDER BY end_time;

-- name: count_open
-- How many runs are not finished.
SELECT count(*) FROM run WHERE job_uid = %(uid)s AND end_time IS NULL;

-- name: open_runs
-- The oldest runs that are not finished, and whether they are to be cancelled already.
SELECT uid, id, backfill_uid, cancel_request_time IS NOT NULL OR state = 'CANCELLING'
FROM run
WHERE job_uid = %(uid)s AND end_time IS NULL
ORDER BY slot_time
LIMIT %(limit)s;

-- name: write_slots
-- New slots, and new states of those that waited; each found in no other state than the turn believes. One that is
-- fails the statement, by a cast that cannot succeed.
WITH decided AS (
    SELECT *
    FROM jsonb_to_recordset(%(slots)s) AS d (
        slot_time timestamptz, last_slot_time timestamptz, kind text, state text, reason text, message text,
        run_uid uuid, run_id text, index bigint, due_time timestamptz, fired boolean, sequence bigint,
        is_new boolean, request_id uuid
    )
), made AS (
    INSERT INTO job_slot (
        job_uid, slot_time, last_slot_time, kind, state, reason, message, run_uid, run_id, index, due_time, fire_time,
        sequence, request_id, create_time, update_time
    )
    SELECT %(uid)s, d.slot_time, d.last_slot_time, d.kind, d.state, d.reason, d.message, d.run_uid, d.run_id, d.index,
        d.due_time, CASE WHEN d.fired THEN now() END, d.sequence, d.request_id, now(), now()
    FROM decided AS d
    WHERE d.is_new
    RETURNING 1
), moved AS (
    UPDATE job_slot
    SET state = d.state, reason = d.reason, message = d.message, run_uid = d.run_uid, run_id = d.run_id,
        index = d.index, fire_time = CASE WHEN d.fired THEN now() END, sequence = d.sequence, update_time = now()
    FROM decided AS d
    WHERE NOT d.is_new AND job_slot.job_uid = %(uid)s AND job_slot.slot_time = d.slot_time
        AND NOT job_slot.covers_many AND job_slot.state = 'WAITING'
    RETURNING 1
)
SELECT CASE WHEN missed <> 0 THEN format('elsewhere than expected: %%s slots', missed)::integer END
FROM (
    SELECT (SELECT count(*) FROM decided) - (SELECT count(*) FROM made) - (SELECT count(*) FROM moved) AS missed
) AS counted;

-- name: cancel_run
-- Asks for a run to be cancelled; engines are told.
UPDATE run
SET cancel_request_time = now(), cancel_message = %(message)s
WHERE uid = %(run_uid)s AND end_time IS NULL AND cancel_request_time IS NULL
RETURNING pg_notify('penstock_run', uid::text);

-- name: write_job
-- How far the job is. It notifies nobody: a commit that does has to wait for all others that do.
UPDATE job
SET state = %(state)s, reason = %(reason)s, message = %(message)s, consecutive_failures = %(consecutive_failures)s,
    cursor_time = %(cursor_time)s, next_slot_time = %(next_slot_time)s, attention_time = %(attention_time)s,
    last_slot_time = %(last_slot_time)s, last_run_id = %(last_run_id)s, fired_count = %(fired_count)s,
    sequence = %(sequence)s, job_sequence = %(sequence)s, update_time = now()
WHERE uid = %(uid)s;

-- name: announce
-- Tells watchers and servers of jobs that have had a turn. It only wakes them, so the commit does not wait for the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('penstock_job', job.uid::text)
FROM unnest(%(uids)s::uuid[]) AS job (uid);

-- name: trim_slots
-- Slots beyond those that are kept, a few at a time; one that waits stays.
DELETE FROM job_slot
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM job_slot
    WHERE job_uid = %(uid)s AND sequence <= %(sequence)s AND state <> 'WAITING'
    ORDER BY sequence
    LIMIT 500
));
