-- name: present
-- The only clock that jobs know.
SELECT now();

-- name: insert
-- A new job; nothing comes back when its id or its request id is taken, or no experiment that is open has that name.
INSERT INTO job (
    uid, namespace, id, experiment_uid, display_name, description, labels, pipeline_id, pipeline_version, pipeline_alias,
    spec_digest, run_display_name, run_description, run_labels, parameters, cache_policy, cache_max_age_s, deadline_s,
    priority, max_parallel_tasks, task_timeout_s, queue_timeout_s, artifact_root, interval_s, cron, time_zone,
    start_time, end_time, catch_up, catch_up_limit, overlap, max_concurrency, jitter_s, max_consecutive_failures,
    state, reason, message, consecutive_failures, cursor_time, next_slot_time, attention_time, create_time, request_id,
    request_digest, pipeline_namespace
)
SELECT %(uid)s, %(namespace)s, %(id)s, experiment.uid, %(display_name)s, %(description)s, %(labels)s, %(pipeline_id)s,
    %(pipeline_version)s, %(pipeline_alias)s, %(spec_digest)s, %(run_display_name)s, %(run_description)s,
    %(run_labels)s, %(parameters)s, %(cache_policy)s, %(cache_max_age_s)s, %(deadline_s)s, %(priority)s,
    %(max_parallel_tasks)s, %(task_timeout_s)s, %(queue_timeout_s)s, %(artifact_root)s, %(interval_s)s, %(cron)s,
    %(time_zone)s, %(start_time)s, %(end_time)s, %(catch_up)s, %(catch_up_limit)s, %(overlap)s, %(max_concurrency)s,
    %(jitter_s)s, %(max_consecutive_failures)s, %(state)s, %(reason)s, %(message)s, %(consecutive_failures)s,
    %(cursor_time)s, %(next_slot_time)s, %(attention_time)s, %(create_time)s, %(request_id)s, %(request_digest)s,
    %(pipeline_namespace)s
FROM experiment
WHERE experiment.namespace = %(namespace)s AND experiment.id = %(experiment_id)s AND experiment.archive_time IS NULL
ON CONFLICT DO NOTHING
RETURNING uid, pg_notify('penstock_job', uid::text);

-- name: by_request
-- What a request has made before.
SELECT id, request_digest FROM job WHERE namespace = %(namespace)s AND request_id = %(request_id)s;

-- name: get
-- One job by name.
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
    (SELECT count(*) FROM job_slot WHERE job_slot.job_uid = job.uid AND job_slot.state = 'WAITING') AS waiting_slot_count
FROM job
JOIN experiment ON experiment.uid = job.experiment_uid
WHERE job.namespace = %(namespace)s AND job.id = %(id)s;

-- name: get_by_uid
-- One job by uid.
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
    (SELECT count(*) FROM job_slot WHERE job_slot.job_uid = job.uid AND job_slot.state = 'WAITING') AS waiting_slot_count
FROM job
JOIN experiment ON experiment.uid = job.experiment_uid
WHERE job.uid = %(uid)s;

-- name: list
-- The jobs of a namespace; conditions, order and limit are added.
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
    (SELECT count(*) FROM job_slot WHERE job_slot.job_uid = job.uid AND job_slot.state = 'WAITING') AS waiting_slot_count
FROM job
JOIN experiment ON experiment.uid = job.experiment_uid
WHERE job.namespace = %(namespace)s

-- name: lock
-- Keeps turns and other changes away until this transaction ends; what the job is has to be read after that.
SELECT uid, now() FROM job WHERE namespace = %(namespace)s AND id = %(id)s FOR UPDATE;

-- name: update
-- All that a user can change of it, and what follows from that; the lock is held. Servers and watchers are told.
UPDATE job
SET experiment_uid = (
        SELECT uid FROM experiment WHERE namespace = %(namespace)s AND id = %(experiment_id)s
    ),
    display_name = %(display_name)s, description = %(description)s, labels = %(labels)s, pipeline_id = %(pipeline_id)s,
    pipeline_version = %(pipeline_version)s, pipeline_alias = %(pipeline_alias)s, spec_digest = %(spec_digest)s,
    run_display_name = %(run_display_name)s, run_description = %(run_description)s, run_labels = %(run_labels)s,
    parameters = %(parameters)s, cache_policy = %(cache_policy)s, cache_max_age_s = %(cache_max_age_s)s, deadline_s =
    %(deadline_s)s, priority = %(priority)s, max_parallel_tasks = %(max_parallel_tasks)s, task_timeout_s =
    %(task_timeout_s)s, queue_timeout_s = %(queue_timeout_s)s, artifact_root = %(artifact_root)s, interval_s =
    %(interval_s)s, cron = %(cron)s, time_zone = %(time_zone)s, start_time = %(start_time)s, end_time = %(end_time)s,
    catch_up = %(catch_up)s, catch_up_limit = %(catch_up_limit)s, overlap = %(overlap)s, max_concurrency =
    %(max_concurrency)s, jitter_s = %(jitter_s)s, max_consecutive_failures = %(max_consecutive_failures)s, state =
    %(state)s, reason = %(reason)s, message = %(message)s, consecutive_failures = %(consecutive_failures)s,
    cursor_time = %(cursor_time)s, next_slot_time = %(next_slot_time)s, attention_time = %(attention_time)s,
    archive_time = %(archive_time)s, pipeline_namespace = %(pipeline_namespace)s, revision = revision + 1,
    update_time = now(), sequence = sequence + 1,
    job_sequence = sequence + 1
WHERE uid = %(uid)s
RETURNING pg_notify('penstock_job', uid::text);

-- name: disable_without_version
-- Jobs of a pipeline that fire, and that by now have no version of it to run, fire no more. Turns and other changes of
-- them are waited for; servers and watchers are told.
WITH idle AS (
    SELECT job.uid
    FROM job
    WHERE job.state = 'ENABLED' AND job.pipeline_id = %(pipeline_id)s
        AND coalesce(job.pipeline_namespace, job.namespace) = %(namespace)s
        AND NOT EXISTS (
            SELECT 1
            FROM pipeline AS p
            JOIN pipeline_version AS v ON v.pipeline_uid = p.uid
            WHERE p.namespace = %(namespace)s AND p.id = %(pipeline_id)s
                AND (job.pipeline_version IS NULL OR v.number = job.pipeline_version)
                AND (job.pipeline_alias IS NULL OR v.alias = job.pipeline_alias)
        )
    ORDER BY job.uid
    FOR UPDATE OF job
), disabled AS (
    UPDATE job
    SET state = 'DISABLED', reason = %(reason)s, message = %(message)s, next_slot_time = NULL, attention_time = now(),
        revision = job.revision + 1, update_time = now(), sequence = job.sequence + 1, job_sequence = job.sequence + 1
    FROM idle
    WHERE job.uid = idle.uid
    RETURNING job.uid
)
SELECT pg_notify('penstock_job', disabled.uid::text) FROM disabled;

-- name: delete
-- It with its slots and backfills; its runs stay. Servers and watchers are told.
WITH gone AS (DELETE FROM job WHERE uid = ANY(%(uids)s) RETURNING uid)
SELECT pg_notify('penstock_job', gone.uid::text) FROM gone;
