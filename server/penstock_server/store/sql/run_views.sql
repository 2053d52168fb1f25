-- name: get
-- One run by name, with how many of its tasks are in which state and the artifacts of its root.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent, run.priority, run.max_parallel_tasks, run.task_timeout_s, run.queue_timeout_s,
    run.cache_max_age_s, run.pause_time, run.rerun_of, run.job_id, run.slot_time, run.pipeline_namespace, run.origin,
    (
        SELECT jsonb_object_agg(counted.state, counted.tasks)
        FROM (SELECT state, count(*) AS tasks FROM task WHERE task.run_uid = run.uid GROUP BY state) AS counted
    ) AS task_counts,
    (SELECT outputs -> 'artifacts' FROM task WHERE task.run_uid = run.uid AND task.id = 'root') AS output_artifacts,
    (SELECT old.id FROM run AS old WHERE old.uid = run.rerun_of) AS rerun_of_id
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.namespace = %(namespace)s AND run.id = %(id)s;

-- name: list_of_uids
-- Those of some runs that conditions, which are added, hold for.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent, run.priority, run.max_parallel_tasks, run.task_timeout_s, run.queue_timeout_s,
    run.cache_max_age_s, run.pause_time, run.rerun_of, run.job_id, run.slot_time, run.pipeline_namespace, run.origin
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.namespace = %(namespace)s AND run.uid = ANY(%(uids)s)

-- name: of_runs
-- How many tasks of each of some runs are in which state, the artifacts of their roots, and the runs they run again.
SELECT counted.run_uid, jsonb_object_agg(counted.state, counted.tasks) AS task_counts,
    (SELECT outputs -> 'artifacts' FROM task WHERE task.run_uid = counted.run_uid AND task.id = 'root')
        AS output_artifacts,
    (SELECT old.id FROM run AS new JOIN run AS old ON old.uid = new.rerun_of WHERE new.uid = counted.run_uid)
        AS rerun_of_id
FROM (
    SELECT run_uid, state, count(*) AS tasks FROM task WHERE run_uid = ANY(%(uids)s) GROUP BY run_uid, state
) AS counted
GROUP BY counted.run_uid;

-- name: is_over
-- Has a run ended for good, with its newest event known?
SELECT end_time IS NOT NULL AND retry_request_time IS NULL AND event_sequence <= %(sequence)s
FROM run
WHERE uid = %(uid)s;

-- name: tasks_of_ids
-- Some tasks of a run.
SELECT run_uid, id, parent_id, key, display_name, kind, state, reason, message, inputs, outputs, cache_key,
    cached_run_uid, cached_task_id, attempt_count, not_before, create_time, start_time, end_time, result_key, cache_note,
    queue_time, step_key, position
FROM task
WHERE run_uid = %(run_uid)s AND id = ANY(%(ids)s);

-- name: run_ids
-- The ids of some runs.
SELECT uid, id FROM run WHERE uid = ANY(%(uids)s);

-- name: list_events
-- The events of a run; conditions, order and limit are added.
SELECT run_uid, sequence, transaction_id::text::bigint AS transaction_id, time, subject, task_id, attempt,
    from_state, to_state, reason, message
FROM event
WHERE run_uid = %(run_uid)s AND sequence > %(after_sequence)s
