-- name: list
-- The slots of a job; conditions, order and limit are added.
SELECT job_slot.job_uid, job_slot.slot_time, job_slot.last_slot_time, job_slot.kind, job_slot.state, job_slot.reason,
    job_slot.message, job_slot.run_uid, job_slot.run_id, job_slot.index, job_slot.due_time, job_slot.fire_time,
    job_slot.backfill_uid, backfill.id AS backfill_id, job_slot.sequence, job_slot.create_time, job_slot.update_time
FROM job_slot
LEFT JOIN backfill ON backfill.uid = job_slot.backfill_uid
WHERE job_slot.job_uid = %(job_uid)s

-- name: changed_after
-- The slots of a job that changed after a point, in the order of their changes.
SELECT job_slot.job_uid, job_slot.slot_time, job_slot.last_slot_time, job_slot.kind, job_slot.state, job_slot.reason,
    job_slot.message, job_slot.run_uid, job_slot.run_id, job_slot.index, job_slot.due_time, job_slot.fire_time,
    job_slot.backfill_uid, backfill.id AS backfill_id, job_slot.sequence, job_slot.create_time, job_slot.update_time
FROM job_slot
LEFT JOIN backfill ON backfill.uid = job_slot.backfill_uid
WHERE job_slot.job_uid = %(job_uid)s AND job_slot.sequence > %(sequence)s
ORDER BY job_slot.sequence
LIMIT %(limit)s;

-- name: at
-- One slot by its time.
SELECT job_slot.job_uid, job_slot.slot_time, job_slot.last_slot_time, job_slot.kind, job_slot.state, job_slot.reason,
    job_slot.message, job_slot.run_uid, job_slot.run_id, job_slot.index, job_slot.due_time, job_slot.fire_time,
    job_slot.backfill_uid, backfill.id AS backfill_id, job_slot.sequence, job_slot.create_time, job_slot.update_time
FROM job_slot
LEFT JOIN backfill ON backfill.uid = job_slot.backfill_uid
WHERE job_slot.job_uid = %(job_uid)s AND job_slot.slot_time = %(slot_time)s AND job_slot.last_slot_time IS NULL;

-- name: by_request
-- The slot that a request has made before.
SELECT job_slot.job_uid, job_slot.slot_time, job_slot.last_slot_time, job_slot.kind, job_slot.state, job_slot.reason,
    job_slot.message, job_slot.run_uid, job_slot.run_id, job_slot.index, job_slot.due_time, job_slot.fire_time,
    job_slot.backfill_uid, backfill.id AS backfill_id, job_slot.sequence, job_slot.create_time, job_slot.update_time
FROM job_slot
LEFT JOIN backfill ON backfill.uid = job_slot.backfill_uid
WHERE job_slot.job_uid = %(job_uid)s AND job_slot.request_id = %(request_id)s;
