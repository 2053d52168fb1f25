-- name: list
-- The tasks of a run, or of one parent; conditions, order and limit are added.
SELECT run_uid, id, parent_id, key, display_name, kind, state, reason, message, inputs, outputs, cache_key,
    cached_run_uid, cached_task_id, attempt_count, not_before, create_time, start_time, end_time, result_key, cache_note,
    queue_time, step_key, position
FROM task
WHERE run_uid = %(run_uid)s AND position > 0 AND (%(parent_id)s::text IS NULL OR parent_id = %(parent_id)s)

-- name: get
-- One task.
SELECT run_uid, id, parent_id, key, display_name, kind, state, reason, message, inputs, outputs, cache_key,
    cached_run_uid, cached_task_id, attempt_count, not_before, create_time, start_time, end_time, result_key, cache_note,
    queue_time, step_key, position
FROM task
WHERE run_uid = %(run_uid)s AND id = %(task_id)s;

-- name: attempts
-- The attempts at one task, in order.
SELECT run_uid, task_id, number, state, reason, message, exit_code, log_tail, launcher, host, handle, create_time,
    start_time, end_time, failure_class
FROM attempt
WHERE run_uid = %(run_uid)s AND task_id = %(task_id)s
ORDER BY number;

-- name: all_of_run
-- Every task of a run, parents first, for the engine that takes it over.
SELECT run_uid, id, parent_id, key, display_name, kind, state, reason, message, inputs, outputs, cache_key,
    cached_run_uid, cached_task_id, attempt_count, not_before, create_time, start_time, end_time, result_key, cache_note,
    queue_time, step_key, position
FROM task
WHERE run_uid = %(run_uid)s AND position > 0
ORDER BY position;

-- name: newest_attempts
-- The newest attempt at each of some tasks of a run, or at all of them, by the launcher that it was given to.
SELECT DISTINCT ON (task_id) run_uid, task_id, number, state, reason, message, exit_code, log_tail, launcher, host,
    handle, create_time, start_time, end_time, failure_class
FROM attempt
WHERE run_uid = %(run_uid)s AND launcher = %(launcher)s
    AND (%(task_ids)s::text[] IS NULL OR task_id = ANY (%(task_ids)s::text[]))
ORDER BY task_id, number DESC;

-- name: attempt_in_pod
-- The attempt of a run that the pod of that name executed.
SELECT run_uid, task_id, number, state, reason, message, exit_code, log_tail, launcher, host, handle, create_time,
    start_time, end_time, failure_class
FROM attempt
WHERE run_uid = %(run_uid)s AND launcher = %(launcher)s AND split_part(handle, '/', 2) = %(pod)s
LIMIT 1;

-- name: attempts_of_run
-- The attempts at tasks that have not ended.
SELECT a.run_uid, a.task_id, a.number, a.state, a.reason, a.message, a.exit_code, a.log_tail, a.launcher, a.host,
    a.handle, a.create_time, a.start_time, a.end_time, a.failure_class
FROM attempt AS a
JOIN task AS t ON t.run_uid = a.run_uid AND t.id = a.task_id
WHERE a.run_uid = %(run_uid)s AND t.end_time IS NULL
ORDER BY a.task_id, a.number;

-- name: find_cached
-- For each cache key the newest result in the namespace; where there is none, the newest task of the same step.
SELECT wanted.place, coalesce(found.run_uid, same.run_uid), coalesce(found.run_id, same.run_id),
    coalesce(found.id, same.id), found.outputs, found.age_s, same.inputs, same.result_key
FROM unnest(%(keys)s::text[], %(step_keys)s::text[]) WITH ORDINALITY AS wanted (cache_key, step_key, place)
LEFT JOIN LATERAL (
    SELECT t.run_uid, r.id AS run_id, t.id, t.outputs, extract(EPOCH FROM now() - t.end_time) AS age_s
    FROM task AS t
    JOIN run AS r ON r.uid = t.run_uid
    WHERE t.cache_key = wanted.cache_key AND t.state = 'SUCCEEDED' AND t.cached_run_uid IS NULL
        AND r.namespace = %(namespace)s
    ORDER BY t.end_time DESC
    LIMIT 1
) AS found ON true
LEFT JOIN LATERAL (
    SELECT t.run_uid, r.id AS run_id, t.id, t.inputs, t.result_key
    FROM task AS t
    JOIN run AS r ON r.uid = t.run_uid
    WHERE found.run_uid IS NULL AND t.step_key = wanted.step_key AND t.state = 'SUCCEEDED'
        AND t.cached_run_uid IS NULL AND r.namespace = %(namespace)s
    ORDER BY t.end_time DESC
    LIMIT 1
) AS same ON true
WHERE found.run_uid IS NOT NULL OR same.run_uid IS NOT NULL;

-- name: over
-- Of some attempts, with the fences they were launched under, those that have ended or whose run is deleted.
SELECT asked.run_uid, asked.task_id, asked.number
FROM unnest(%(run_uids)s::uuid[], %(task_ids)s::text[], %(numbers)s::integer[], %(fences)s::bigint[])
    AS asked (run_uid, task_id, number, fence)
LEFT JOIN run ON run.uid = asked.run_uid
LEFT JOIN attempt ON attempt.run_uid = asked.run_uid AND attempt.task_id = asked.task_id AND attempt.number = asked.number
WHERE run.uid IS NULL OR (asked.fence <= run.fence AND attempt.end_time IS NOT NULL);
