-- name: imported
-- What has one of these uids, in whatever namespace: its kind, and what its name is made of.
SELECT uid, 'experiment' AS kind, namespace, id, 0 AS number FROM experiment WHERE uid = ANY(%(uids)s)
UNION ALL
SELECT uid, 'pipeline', namespace, id, 0 FROM pipeline WHERE uid = ANY(%(uids)s)
UNION ALL
SELECT v.uid, 'version', p.namespace, p.id, v.number
FROM pipeline_version AS v JOIN pipeline AS p ON p.uid = v.pipeline_uid
WHERE v.uid = ANY(%(uids)s)
UNION ALL
SELECT uid, 'job', namespace, id, 0 FROM job WHERE uid = ANY(%(uids)s)
UNION ALL
SELECT uid, 'run', namespace, id, 0 FROM run WHERE uid = ANY(%(uids)s);

-- name: keep_experiment
-- What an experiment that was made just now keeps of its own, where no other one has its uid.
UPDATE experiment
SET uid = CASE WHEN EXISTS (SELECT 1 FROM experiment WHERE uid = %(uid)s) THEN uid ELSE %(uid)s END,
    create_time = %(create_time)s, archive_time = CASE WHEN %(archived)s THEN now() END
WHERE uid = %(made)s
RETURNING uid;

-- name: keep_pipeline
-- What a pipeline that was made just now keeps of its own, where no other one has its uid.
UPDATE pipeline
SET uid = CASE WHEN EXISTS (SELECT 1 FROM pipeline WHERE uid = %(uid)s) THEN uid ELSE %(uid)s END,
    create_time = %(create_time)s
WHERE uid = %(made)s
RETURNING uid;

-- name: keep_version
-- What a version that was made just now keeps of its own, where no other one has its uid.
UPDATE pipeline_version
SET uid = CASE WHEN EXISTS (SELECT 1 FROM pipeline_version WHERE uid = %(uid)s) THEN uid ELSE %(uid)s END,
    create_time = %(create_time)s
WHERE uid = %(made)s
RETURNING uid;

-- name: experiment_named
-- The experiment of a display name, the oldest where several have it.
SELECT id FROM experiment
WHERE namespace = %(namespace)s AND display_name = %(display_name)s
ORDER BY create_time, uid
LIMIT 1;

-- name: place_of_run
-- Where the run of a uid is.
SELECT namespace, id FROM run WHERE uid = %(uid)s;

-- name: place_of_job
-- Where the job of a uid is.
SELECT namespace, id FROM job WHERE uid = %(uid)s;

-- name: insert_run
-- A run that ended elsewhere, with its spec, its tasks and its events; nothing comes back when its uid or its id is taken,
-- or no experiment has that name. Nobody is told: nothing is to be done.
WITH made AS (
    INSERT INTO run (
        uid, namespace, id, experiment_uid, pipeline_id, pipeline_version, spec_digest, display_name, description,
        labels, parameters, artifact_root, state, reason, message, failed_task_id, event_sequence, create_time,
        start_time, end_time, archive_time, job_uid, job_id, slot_time, origin
    )
    SELECT %(uid)s, %(namespace)s, %(id)s, experiment.uid, %(pipeline_id)s, %(pipeline_version)s, %(spec_digest)s,
        %(display_name)s, %(description)s, %(labels)s, %(parameters)s, '', %(state)s, %(reason)s, %(message)s,
        %(failed_task_id)s, %(event_count)s, %(create_time)s, %(start_time)s, %(end_time)s,
        CASE WHEN %(is_archived)s THEN now() END, job.uid, job.id, %(scheduled_time)s, %(origin)s
    FROM experiment
    LEFT JOIN job ON job.uid = %(job_uid)s
    WHERE experiment.namespace = %(namespace)s AND experiment.id = %(experiment_id)s
    ON CONFLICT DO NOTHING
    RETURNING uid, namespace
), kept AS (
    INSERT INTO spec (digest, document)
    SELECT %(spec_digest)s, %(document)s FROM made WHERE %(document)s::bytea IS NOT NULL
    ON CONFLICT (digest) DO NOTHING
), tasks AS (
    INSERT INTO task (
        run_uid, id, position, parent_id, key, display_name, kind, state, reason, message, create_time, start_time,
        end_time
    )
    SELECT made.uid, t.id, t.position, t.parent_id, t.key, t.display_name, t.kind, t.state, %(reason)s, t.message,
        t.create_time, t.start_time, t.end_time
    FROM made, jsonb_to_recordset(%(tasks)s) AS t (
        id text, position bigint, parent_id text, key text, display_name text, kind text, state text, message text,
        create_time timestamptz, start_time timestamptz, end_time timestamptz
    )
), events AS (
    INSERT INTO event (run_uid, sequence, namespace, time, subject, task_id, from_state, to_state, reason, message)
    SELECT made.uid, e.sequence, made.namespace, e.time, CASE WHEN e.task_id IS NULL THEN 'RUN' ELSE 'TASK' END, e.task_id,
        e.from_state, e.to_state, e.reason, e.message
    FROM made, jsonb_to_recordset(%(events)s) AS e (
        sequence bigint, time timestamptz, task_id text, from_state text, to_state text, reason text, message text
    )
)
SELECT uid FROM made;
