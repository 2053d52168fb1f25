-- name: insert
-- A new run; nothing comes back when its id or its request id is taken.
INSERT INTO run (
    uid, namespace, id, experiment_uid, pipeline_id, pipeline_version, spec_digest, display_name, description, labels,
    parameters, cache_policy, deadline_s, artifact_root, reason, message, traceparent, request_id, request_digest,
    event_sequence, owner, fence
) VALUES (
    %(uid)s, %(namespace)s, %(id)s, %(experiment_uid)s, %(pipeline_id)s, %(pipeline_version)s, %(spec_digest)s,
    %(display_name)s, %(description)s, %(labels)s, %(parameters)s, %(cache_policy)s, %(deadline_s)s, %(artifact_root)s,
    %(reason)s, %(message)s, %(traceparent)s, %(request_id)s, %(request_digest)s, 2,
    (SELECT server_id FROM server WHERE server_id = %(owner)s), CASE WHEN %(owner)s::uuid IS NULL THEN 0 ELSE 1 END
)
ON CONFLICT DO NOTHING
RETURNING uid, namespace, id, experiment_uid, %(experiment_id)s::text AS experiment_id, pipeline_id, pipeline_version,
    spec_digest, display_name, description, labels, parameters, cache_policy, deadline_s, artifact_root, state, reason,
    message, failed_task_id, outputs, event_sequence, revision, create_time, start_time, end_time, update_time,
    archive_time, traceparent;

-- name: insert_beginning
-- Its root task, the two events of the beginning, a word to the watchers, and one to the engines if it is free.
WITH root AS (
    INSERT INTO task (run_uid, id, position, key, display_name, kind, reason, message)
    VALUES (%(uid)s, 'root', 2, 'root', %(root_display_name)s, 'DAG', %(reason)s, %(message)s)
), events AS (
    INSERT INTO event (run_uid, sequence, namespace, subject, task_id, to_state, reason, message)
    VALUES
        (%(uid)s, 1, %(namespace)s, 'RUN', NULL, 'PENDING', %(reason)s, %(message)s),
        (%(uid)s, 2, %(namespace)s, 'TASK', 'root', 'PENDING', %(reason)s, %(message)s)
)
SELECT pg_notify('penstock_event', %(uid)s::text),
    CASE WHEN %(owner)s::uuid IS NULL THEN pg_notify('penstock_run', %(uid)s::text) END;

-- name: by_request
-- What a request has made before.
SELECT id, request_digest FROM run WHERE namespace = %(namespace)s AND request_id = %(request_id)s;

-- name: get
-- One run by name.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.namespace = %(namespace)s AND run.id = %(id)s;

-- name: get_by_uid
-- One run by uid.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.uid = %(uid)s;

-- name: list
-- The runs of a namespace; conditions, order and limit are added.
SELECT run.uid, run.namespace, run.id, run.experiment_uid, experiment.id AS experiment_id, run.pipeline_id,
    run.pipeline_version, run.spec_digest, run.display_name, run.description, run.labels, run.parameters,
    run.cache_policy, run.deadline_s, run.artifact_root, run.state, run.reason, run.message, run.failed_task_id,
    run.outputs, run.event_sequence, run.revision, run.create_time, run.start_time, run.end_time, run.update_time,
    run.archive_time, run.traceparent
FROM run
JOIN experiment ON experiment.uid = run.experiment_uid
WHERE run.namespace = %(namespace)s

-- name: update
-- Display name, description and labels, where it is still at the revision that was read.
UPDATE run
SET display_name = %(display_name)s, description = %(description)s, labels = %(labels)s,
    revision = revision + 1, update_time = now()
WHERE uid = %(uid)s AND revision = %(revision)s
RETURNING uid;

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
-- The run with its tasks, attempts, events and artifacts' rows.
WITH gone AS (DELETE FROM run WHERE uid = %(uid)s RETURNING uid)
SELECT pg_notify('penstock_event', gone.uid::text) FROM gone;
