-- name: jobs
-- Jobs of a namespace or of all, of an experiment or of all, with the uids of what they name; conditions, order and limit
-- are added. Without a version the newest is meant.
SELECT job.uid, job.namespace, job.id, job.display_name, job.description, job.labels, experiment.id AS experiment_id,
    job.pipeline_id, job.pipeline_version, job.pipeline_alias, job.spec_digest, job.run_display_name,
    job.run_description, job.run_labels, job.parameters, job.cache_policy, job.cache_max_age_s, job.deadline_s,
    job.priority, job.max_parallel_tasks, job.task_timeout_s, job.queue_timeout_s, job.artifact_root, job.interval_s,
    job.cron, job.time_zone, job.start_time, job.end_time, job.catch_up, job.catch_up_limit, job.overlap,
    job.max_concurrency, job.jitter_s, job.max_consecutive_failures, job.state, job.reason, job.message,
    job.consecutive_failures, job.cursor_time, job.next_slot_time, job.last_slot_time, job.last_run_id,
    job.fired_count, job.sequence, job.job_sequence, job.revision, job.create_time, job.update_time, job.archive_time,
    job.pipeline_namespace,
    (SELECT count(*) FROM run WHERE run.job_uid = job.uid AND run.end_time IS NULL) AS active_run_count,
    (SELECT count(*) FROM job_slot WHERE job_slot.job_uid = job.uid AND job_slot.state = 'WAITING') AS waiting_slot_count,
    job.experiment_uid,
    (
        SELECT ARRAY[p.uid, (
            SELECT v.uid
            FROM pipeline_version AS v
            WHERE v.pipeline_uid = p.uid AND (v.number = job.pipeline_version OR v.alias = job.pipeline_alias)
        )]
        FROM pipeline AS p
        WHERE p.namespace = coalesce(job.pipeline_namespace, job.namespace) AND p.id = job.pipeline_id
    ) AS version
FROM job
JOIN experiment ON experiment.uid = job.experiment_uid
WHERE (%(namespace)s::text IS NULL OR job.namespace = %(namespace)s)
    AND (%(experiment_uid)s::uuid IS NULL OR job.experiment_uid = %(experiment_uid)s)
