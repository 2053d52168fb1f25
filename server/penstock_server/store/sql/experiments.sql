-- name: insert
-- A new experiment; nothing comes back when its id or its request id is taken.
INSERT INTO experiment (namespace, id, display_name, description, labels, request_id, request_digest)
VALUES (%(namespace)s, %(id)s, %(display_name)s, %(description)s, %(labels)s, %(request_id)s, %(request_digest)s)
ON CONFLICT DO NOTHING
RETURNING uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time;

-- name: insert_named
-- A new experiment whose display name no other one has; nothing comes back when that or its id is taken.
INSERT INTO experiment (namespace, id, display_name, description)
SELECT %(namespace)s, %(id)s, %(display_name)s, %(description)s
WHERE NOT EXISTS (SELECT 1 FROM experiment WHERE namespace = %(namespace)s AND display_name = %(display_name)s)
ON CONFLICT DO NOTHING
RETURNING uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time;

-- name: has_display_name
-- Has any experiment that display name?
SELECT EXISTS (SELECT 1 FROM experiment WHERE namespace = %(namespace)s AND display_name = %(display_name)s);

-- name: get
-- One experiment by name.
SELECT uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time
FROM experiment
WHERE namespace = %(namespace)s AND id = %(id)s;

-- name: by_request
-- What a request has made before.
SELECT id, request_digest FROM experiment WHERE namespace = %(namespace)s AND request_id = %(request_id)s;

-- name: list
-- The experiments of a namespace; conditions, order and limit are added.
SELECT uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time
FROM experiment
WHERE namespace = %(namespace)s

-- name: update
-- Display name, description and labels, where it is still at the revision that was read.
UPDATE experiment
SET display_name = %(display_name)s, description = %(description)s, labels = %(labels)s,
    revision = revision + 1, update_time = now()
WHERE uid = %(uid)s AND revision = %(revision)s
RETURNING uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time;

-- name: archive
-- In or out of the archive; one that is there already stays as it is.
UPDATE experiment
SET archive_time = CASE WHEN %(archived)s THEN coalesce(archive_time, now()) END,
    revision = revision + CASE WHEN (archive_time IS NOT NULL) = %(archived)s THEN 0 ELSE 1 END,
    update_time = CASE WHEN (archive_time IS NOT NULL) = %(archived)s THEN update_time ELSE now() END
WHERE namespace = %(namespace)s AND id = %(id)s AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time;

-- name: archive_runs
-- Its runs go into the archive with it; those that have not ended go on.
UPDATE run
SET archive_time = now(), revision = revision + 1, update_time = now()
WHERE experiment_uid = %(uid)s AND archive_time IS NULL;

-- name: archive_some_runs
-- Some of its runs go into the archive; those that are being changed are left for later.
UPDATE run
SET archive_time = now(), revision = revision + 1, update_time = now()
WHERE uid IN (
    SELECT run.uid
    FROM run
    JOIN experiment ON experiment.uid = run.experiment_uid
    WHERE experiment.namespace = %(namespace)s AND experiment.id = %(id)s AND run.archive_time IS NULL
    LIMIT %(limit)s
    FOR UPDATE OF run SKIP LOCKED
);

-- name: move_some_runs
-- Some of its runs into the default experiment; those that are being changed are left for later.
UPDATE run
SET experiment_uid = home.uid, revision = run.revision + 1, update_time = now()
FROM experiment AS home
WHERE home.namespace = %(namespace)s AND home.id = 'default' AND run.uid IN (
    SELECT run.uid
    FROM run
    JOIN experiment ON experiment.uid = run.experiment_uid
    WHERE experiment.namespace = %(namespace)s AND experiment.id = %(id)s
    LIMIT %(limit)s
    FOR UPDATE OF run SKIP LOCKED
);

-- name: move_runs
-- Its runs into the default experiment.
UPDATE run
SET experiment_uid = home.uid, revision = run.revision + 1, update_time = now()
FROM experiment AS home
WHERE run.experiment_uid = %(uid)s AND home.namespace = %(namespace)s AND home.id = 'default';

-- name: move_jobs
-- Its jobs make their runs in the default experiment from here on; watchers are told.
WITH moved AS (
    UPDATE job
    SET experiment_uid = home.uid, revision = job.revision + 1, update_time = now(), sequence = job.sequence + 1,
        job_sequence = job.sequence + 1
    FROM experiment AS home
    WHERE job.experiment_uid = %(uid)s AND home.namespace = %(namespace)s AND home.id = 'default'
    RETURNING job.uid
)
SELECT pg_notify('penstock_job', moved.uid::text) FROM moved;

-- name: lock
-- Keeps runs from being added until this transaction ends.
SELECT uid, revision FROM experiment WHERE namespace = %(namespace)s AND id = %(id)s FOR UPDATE;

-- name: lock_jobs
-- Keeps its jobs from making runs until this transaction ends.
SELECT job.uid
FROM job
JOIN experiment ON experiment.uid = job.experiment_uid
WHERE experiment.namespace = %(namespace)s AND experiment.id = %(id)s
ORDER BY job.uid
FOR UPDATE OF job;

-- name: has_jobs
-- Is there any job that makes runs in it?
SELECT EXISTS (SELECT 1 FROM job WHERE experiment_uid = %(uid)s);

-- name: delete_jobs
-- Its jobs go with it; servers and watchers are told.
WITH gone AS (DELETE FROM job WHERE experiment_uid = %(uid)s RETURNING uid)
SELECT pg_notify('penstock_job', gone.uid::text) FROM gone;

-- name: has_runs
-- Is there any run in it?
SELECT EXISTS (SELECT 1 FROM run WHERE experiment_uid = %(uid)s);

-- name: has_open_runs
-- Is there any run in it that has not ended?
SELECT EXISTS (SELECT 1 FROM run WHERE experiment_uid = %(uid)s AND end_time IS NULL);

-- name: delete_runs
-- Its runs go with it.
DELETE FROM run WHERE experiment_uid = %(uid)s;

-- name: delete
-- The experiment itself.
DELETE FROM experiment WHERE uid = %(uid)s;
