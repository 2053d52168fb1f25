-- name: list_run
-- The events of one run behind a number.
SELECT run_uid, sequence, transaction_id::text::bigint AS transaction_id, time, subject, task_id, attempt, from_state,
    to_state, reason, message
FROM event
WHERE run_uid = %(run_uid)s AND sequence > %(after_sequence)s
ORDER BY sequence
LIMIT %(limit)s;

-- name: list_namespace
-- The moves of the runs of a namespace behind a position, below the oldest transaction that is still open: what lies
-- below it is committed or gone for good, so nothing is passed over.
SELECT run_uid, sequence, transaction_id::text::bigint AS transaction_id, time, subject, task_id, attempt, from_state,
    to_state, reason, message
FROM event
WHERE namespace = %(namespace)s AND subject = 'RUN'
    AND (transaction_id, run_uid, sequence) > (%(transaction_id)s::text::xid8, %(run_uid)s, %(sequence)s)
    AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY transaction_id, run_uid, sequence
LIMIT %(limit)s;

-- name: current_position
-- Behind everything that can be read across runs at this moment.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
