-- name: insert
-- A new run with its root task, the two events of its beginning and its spec, unless that is stored; nothing when its
-- id or its request id is taken, or no experiment that is open has that name. It notifies nobody: a commit that does
-- has to wait for all others that do.
WITH made AS (
    INSERT INTO run (
        uid, namespace, id, experiment_uid, pipeline_id, pipeline_version, spec_digest, display_name, description,
        labels, parameters, cache_policy, deadline_s, artifact_root, reason, message, traceparent, request_id,
        request_digest, event_sequence, owner, fence, priority, max_parallel_tasks, task_timeout_s, queue_timeout_s,
        cache_max_age_s, rerun_of, job_uid, job_id, slot_time, backfill_uid, pipeline_namespace
    )
    SELECT %(uid)s, %(namespace)s, %(id)s, experiment.uid, %(pipeline_id)s, %(pipeline_version)s, %(spec_digest)s,
        %(display_name)s, %(description)s, %(labels)s, %(parameters)s, %(cache_policy)s, %(deadline_s)s,
        %(artifact_root)s, %(reason)s, %(message)s, %(traceparent)s, %(request_id)s, %(request_digest)s, 2,
        (SELECT server_id FROM server WHERE server_id = %(owner)s), CASE WHEN %(owner)s::uuid IS NULL THEN 0 ELSE 1 END,
        %(priority)s, %(max_parallel_tasks)s, %(task_timeout_s)s, %(queue_timeout_s)s, %(cache_max_age_s)s, %(rerun_of)s,
        %(job_uid)s, %(job_id)s, %(slot_time)s, %(backfill_uid)s, %(pipeline_namespace)s
    FROM experiment
    WHERE experiment.namespace = %(namespace)s AND experiment.id = %(experiment_id)s
        AND experiment.archive_time IS NULL
    ON CONFLICT DO NOTHING
    RETURNING uid, namespace, id, experiment_uid, %(experiment_id)s::text AS experiment_id, pipeline_id,
        pipeline_version, spec_digest, display_name, description, labels, parameters, cache_policy, deadline_s,
        artifact_root, state, reason, message, failed_task_id, outputs, event_sequence, revision, create_time,
        start_time, end_time, update_time, archive_time, traceparent, priority, max_parallel_tasks, task_timeout_s,
        queue_timeout_s, cache_max_age_s, pause_time, rerun_of, job_id, slot_time, pipeline_namespace, origin, owner
), kept AS (
    INSERT INTO spec (digest, document)
    SELECT made.spec_digest, %(document)s FROM made WHERE %(document)s::bytea IS NOT NULL
    ON CONFLICT (digest) DO NOTHING
), root AS (
    INSERT INTO task (run_uid, id, position, key, display_name, kind, reason, message)
    SELECT made.uid, 'root', 2, 'root', %(root_display_name)s, 'DAG', made.reason, made.message FROM made
), events AS (
    INSERT INTO event (run_uid, sequence, namespace, subject, task_id, to_state, reason, message)
    SELECT made.uid, first.sequence, made.namespace, first.subject, first.task_id, made.state, made.reason, made.message
    FROM made, (VALUES (1, 'RUN', NULL), (2, 'TASK', 'root')) AS first (sequence, subject, task_id)
)
SELECT made.* FROM made;

-- name: announce
-- Tells engines and watchers of new runs. It only wakes them, so the commit does not wait for the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('penstock_event', made.uid::text),
    pg_notify('penstock_run', made.uid::text)
FROM unnest(%(uids)s::uuid[]) AS made (uid);

-- name: by_request
-- What a request has made before.
SELECT id, request_digest FROM run WHERE namespace = %(namespace)s AND request_id = %(request_id)s;

-- name: get
-- One run by name.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent, run.priority, run.max_parallel_tasks, run.task_timeout_s, run.queue_timeout_s,
    run.cache_max_age_s, run.pause_time, run.rerun_of, run.job_id, run.slot_time, run.pipeline_namespace, run.origin
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.namespace = %(namespace)s AND run.id = %(id)s;

-- name: get_by_uid
-- One run by uid.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent, run.priority, run.max_parallel_tasks, run.task_timeout_s, run.queue_timeout_s,
    run.cache_max_age_s, run.pause_time, run.rerun_of, run.job_id, run.slot_time, run.pipeline_namespace, run.origin
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.uid = %(uid)s;

-- name: list
-- The runs of a namespace; conditions, order and limit are added.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent, run.priority, run.max_parallel_tasks, run.task_timeout_s, run.queue_timeout_s,
    run.cache_max_age_s, run.pause_time, run.rerun_of, run.job_id, run.slot_time, run.pipeline_namespace, run.origin
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.namespace = %(namespace)s

-- name: update
-- What can be edited, where it is still at the revision that was read; new limits are for the owner to take up.
UPDATE run
SET display_name = %(display_name)s, description = %(description)s, labels = %(labels)s, priority = %(priority)s,
    max_parallel_tasks = %(max_parallel_tasks)s, revision = revision + 1, update_time = now(),
    limits_request_time = CASE
        WHEN end_time IS NULL AND (
            priority <> %(priority)s OR max_parallel_tasks IS DISTINCT FROM %(max_parallel_tasks)s
        ) THEN now()
        ELSE limits_request_time
    END
WHERE uid = %(uid)s AND revision = %(revision)s
RETURNING CASE WHEN limits_request_time IS NOT NULL THEN pg_notify('penstock_run', uid::text)::text END;

-- name: archive
-- In or out of the archive; one that is there already stays as it is.
UPDATE run
SET archive_time = CASE WHEN %(archived)s THEN coalesce(archive_time, now()) END,
    revision = revision + CASE WHEN (archive_time IS NOT NULL) = %(archived)s THEN 0 ELSE 1 END,
    update_time = CASE WHEN (archive_time IS NOT NULL) = %(archived)s THEN update_time ELSE now() END
WHERE namespace = %(namespace)s AND id = %(id)s AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid;

-- name: task_counts
-- How many tasks of a run are in which state.
SELECT state, count(*) FROM task WHERE run_uid = %(uid)s GROUP BY state;

-- name: delete
-- The run with its tasks, attempts, events and artifacts' rows; watchers and servers are told.
WITH gone AS (DELETE FROM run WHERE uid = %(uid)s RETURNING uid)
SELECT pg_notify('penstock_event', gone.uid::text), pg_notify('penstock_deleted', gone.uid::text) FROM gone;
