-- name: insert
-- A new backfill; nothing comes back when its id or its request id is taken. The job's lock is held.
INSERT INTO backfill (
    uid, job_uid, id, start_time, end_time, max_concurrency, slot_count, fired_before_count, request_id, request_digest
)
VALUES (
    %(uid)s, %(job_uid)s, %(id)s, %(start_time)s, %(end_time)s, %(max_concurrency)s, 0, 0, %(request_id)s,
    %(request_digest)s
)
ON CONFLICT DO NOTHING
RETURNING uid;

-- name: by_request
-- What a request has made before.
SELECT id, request_digest FROM backfill WHERE job_uid = %(job_uid)s AND request_id = %(request_id)s;

-- name: get
-- One backfill by name. A run that is gone counts as failed: nobody can tell how it ended.
SELECT backfill.uid, backfill.job_uid, backfill.id, backfill.start_time, backfill.end_time, backfill.max_concurrency,
    backfill.state, backfill.slot_count, backfill.fired_before_count, backfill.create_time, backfill.finish_time,
    waiting.count AS waiting_count, skipped.count AS skipped_count, ran.active AS active_count,
    ran.succeeded AS succeeded_count,
    backfill.slot_count - waiting.count - skipped.count - ran.active - ran.succeeded AS failed_count
FROM backfill
CROSS JOIN LATERAL (
    SELECT count(*) FROM job_slot WHERE job_slot.backfill_uid = backfill.uid AND job_slot.state = 'WAITING'
) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) FROM job_slot WHERE job_slot.backfill_uid = backfill.uid AND job_slot.state = 'SKIPPED'
) AS skipped
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE run.end_time IS NULL) AS active,
        count(*) FILTER (WHERE run.state = 'SUCCEEDED') AS succeeded
    FROM run
    WHERE run.backfill_uid = backfill.uid
) AS ran
WHERE backfill.job_uid = %(job_uid)s AND backfill.id = %(id)s;

-- name: list
-- The backfills of a job; conditions, order and limit are added.
SELECT backfill.uid, backfill.job_uid, backfill.id, backfill.start_time, backfill.end_time, backfill.max_concurrency,
    backfill.state, backfill.slot_count, backfill.fired_before_count, backfill.create_time, backfill.finish_time,
    waiting.count AS waiting_count, skipped.count AS skipped_count, ran.active AS active_count,
    ran.succeeded AS succeeded_count,
    backfill.slot_count - waiting.count - skipped.count - ran.active - ran.succeeded AS failed_count
FROM backfill
CROSS JOIN LATERAL (
    SELECT count(*) FROM job_slot WHERE job_slot.backfill_uid = backfill.uid AND job_slot.state = 'WAITING'
) AS waiting
CROSS JOIN LATERAL (
    SELECT count(*) FROM job_slot WHERE job_slot.backfill_uid = backfill.uid AND job_slot.state = 'SKIPPED'
) AS skipped
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE run.end_time IS NULL) AS active,
        count(*) FILTER (WHERE run.state = 'SUCCEEDED') AS succeeded
    FROM run
    WHERE run.backfill_uid = backfill.uid
) AS ran
WHERE backfill.job_uid = %(job_uid)s

-- name: add_slots
-- Its slots, in the order of time, unless they have fired or wait already; those that were skipped wait after all.
INSERT INTO job_slot (
    job_uid, slot_time, kind, state, reason, message, due_time, backfill_uid, sequence
)
SELECT %(job_uid)s, added.slot_time, 'BACKFILL', 'WAITING', %(reason)s, %(message)s, added.slot_time, %(backfill_uid)s,
    %(sequence)s + added.position
FROM unnest(%(slot_times)s::timestamptz[]) WITH ORDINALITY AS added (slot_time, position)
ON CONFLICT (job_uid, slot_time, covers_many) DO UPDATE
SET kind = excluded.kind, state = excluded.state, reason = excluded.reason, message = excluded.message,
    backfill_uid = excluded.backfill_uid, sequence = excluded.sequence, update_time = now()
WHERE job_slot.state = 'SKIPPED'
RETURNING slot_time;

-- name: fired_before
-- Which of some slots have fired, or wait already.
SELECT count(*) FROM job_slot
WHERE job_uid = %(job_uid)s AND slot_time = ANY(%(slot_times)s::timestamptz[]) AND state <> 'SKIPPED';

-- name: set_counts
-- How many slots it has.
UPDATE backfill SET slot_count = %(slot_count)s, fired_before_count = %(fired_before_count)s WHERE uid = %(uid)s;

-- name: set_state
-- Where it stands; final with the time of that.
UPDATE backfill
SET state = %(state)s, finish_time = CASE WHEN %(state)s IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN now() END
WHERE uid = %(uid)s AND finish_time IS NULL;

-- name: skip_waiting
-- Its slots that wait are skipped; how many that were.
WITH waiting AS (
    SELECT slot_time, row_number() OVER (ORDER BY slot_time) AS position
    FROM job_slot
    WHERE backfill_uid = %(uid)s AND state = 'WAITING'
)
UPDATE job_slot
SET state = 'SKIPPED', reason = %(reason)s, message = %(message)s, sequence = %(sequence)s + waiting.position,
    update_time = now()
FROM waiting
WHERE job_slot.job_uid = %(job_uid)s AND job_slot.slot_time = waiting.slot_time AND NOT job_slot.covers_many;

-- name: cancel_runs
-- Asks for its runs to be cancelled; engines are told.
UPDATE run
SET cancel_request_time = coalesce(cancel_request_time, now()),
    cancel_message = CASE WHEN cancel_request_time IS NULL THEN %(message)s ELSE cancel_message END
WHERE backfill_uid = %(uid)s AND end_time IS NULL
RETURNING pg_notify('penstock_run', uid::text);
