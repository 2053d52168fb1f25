-- name: runs
-- Runs of a namespace or of all, of an experiment or of all, with the uids of what they name, but for those that are to
-- be deleted; conditions, order and limit are added. A version counts only while it holds what the run executes. With an
-- order by a metric also that metric: what the task that ended last says of it. Without one it is not even planned.
SELECT run.uid, run.namespace, run.id, run.experiment_uid,
    (SELECT experiment.id FROM experiment WHERE experiment.uid = run.experiment_uid) AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent, run.priority, run.max_parallel_tasks, run.task_timeout_s, run.queue_timeout_s,
    run.cache_max_age_s, run.pause_time, run.rerun_of, run.job_id, run.slot_time, run.pipeline_namespace, run.origin,
    run.job_uid,
    (
        SELECT ARRAY[p.uid, v.uid]
        FROM pipeline AS p
        JOIN pipeline_version AS v ON v.pipeline_uid = p.uid
        WHERE p.namespace = coalesce(run.pipeline_namespace, run.namespace) AND p.id = run.pipeline_id
            AND v.number = run.pipeline_version AND v.spec_digest = run.spec_digest
    ) AS version,
    metric.value AS metric
FROM run
CROSS JOIN LATERAL (
    SELECT CASE WHEN %(order_key)s::text IS NOT NULL THEN (
        SELECT (found.value #>> '{}')::float8
        FROM task
        CROSS JOIN jsonb_each(task.outputs -> 'artifacts') AS output (name, artifacts)
        CROSS JOIN jsonb_array_elements(output.artifacts) AS artifact
        CROSS JOIN jsonb_each(artifact -> 'metadata') AS found (name, value)
        WHERE task.run_uid = run.uid AND artifact ->> 'type' = 'system.Metrics'
            AND lower(found.name) = %(order_key)s AND jsonb_typeof(found.value) = 'number'
        ORDER BY task.end_time DESC NULLS LAST, task.position DESC
        LIMIT 1
    ) END AS value
) AS metric
WHERE (%(namespace)s::text IS NULL OR run.namespace = %(namespace)s)
    AND (%(experiment_uid)s::uuid IS NULL OR run.experiment_uid = %(experiment_uid)s)
    AND run.delete_request_time IS NULL

-- name: version
-- The uids of a version that holds a spec, and of its pipeline.
SELECT p.uid, v.uid
FROM pipeline AS p
JOIN pipeline_version AS v ON v.pipeline_uid = p.uid
WHERE p.namespace = %(namespace)s AND p.id = %(pipeline_id)s AND v.number = %(number)s
    AND v.spec_digest = %(spec_digest)s;

-- name: tallied
-- How many runs there are of a namespace or of all, of an experiment or of all; conditions are added.
SELECT coalesce(sum(run_tally.count), 0)::bigint
FROM run_tally
WHERE (%(namespace)s::text IS NULL OR run_tally.namespace = %(namespace)s)
    AND (%(experiment_uid)s::uuid IS NULL OR run_tally.experiment_uid = %(experiment_uid)s)
