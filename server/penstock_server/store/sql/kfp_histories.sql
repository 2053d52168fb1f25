-- name: histories
-- What some runs have been through, run after run in the order asked: the moves of each, then its tasks, parents first.
-- Of all runs together so many tasks at most.
SELECT asked.place, false AS is_task, event.sequence AS number, event.to_state AS state, event.reason, event.message,
    event.time AS create_time, NULL AS kind, NULL::jsonb AS inputs, NULL::jsonb AS outputs, NULL AS id,
    NULL AS parent_id, NULL AS key, NULL AS display_name, NULL::integer AS attempt_count,
    NULL::timestamptz AS start_time, NULL::timestamptz AS end_time
FROM unnest(%(uids)s::uuid[]) WITH ORDINALITY AS asked (uid, place)
JOIN event ON event.run_uid = asked.uid AND event.subject = 'RUN' AND event.to_state IS NOT NULL
UNION ALL (
    SELECT asked.place, true, task.position, task.state, task.reason, task.message, task.create_time, task.kind,
        task.inputs -> 'artifacts', task.outputs -> 'artifacts', task.id, task.parent_id, task.key, task.display_name,
        task.attempt_count, task.start_time, task.end_time
    FROM unnest(%(uids)s::uuid[]) WITH ORDINALITY AS asked (uid, place)
    JOIN task ON task.run_uid = asked.uid AND task.position > 0
    ORDER BY asked.place, task.position
    LIMIT %(limit)s
)
ORDER BY place, is_task, number;

-- name: task_moves
-- The moves of some tasks.
SELECT event.run_uid, event.task_id, event.to_state, event.reason, event.message, event.time
FROM event
JOIN unnest(%(uids)s::uuid[], %(task_ids)s::text[]) AS asked (run_uid, task_id)
    ON asked.run_uid = event.run_uid AND asked.task_id = event.task_id
WHERE event.run_uid = ANY(%(uids)s) AND event.subject = 'TASK' AND event.to_state IS NOT NULL
ORDER BY event.run_uid, event.sequence;
