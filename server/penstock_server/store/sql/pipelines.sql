-- name: insert
-- A new pipeline; nothing comes back when its id, its name for KFP or its request id is taken.
INSERT INTO pipeline (namespace, id, kfp_name, display_name, description, labels, request_id, request_digest)
VALUES (
    %(namespace)s, %(id)s, %(kfp_name)s, %(display_name)s, %(description)s, %(labels)s, %(request_id)s,
    %(request_digest)s
)
ON CONFLICT DO NOTHING
RETURNING uid;

-- name: get
-- One pipeline by name.
SELECT uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time,
    (SELECT max(number) FROM pipeline_version WHERE pipeline_uid = pipeline.uid) AS latest_version,
    (SELECT count(*) FROM pipeline_version WHERE pipeline_uid = pipeline.uid) AS version_count
FROM pipeline
WHERE namespace = %(namespace)s AND id = %(id)s;

-- name: by_request
-- What a request has made before.
SELECT id, request_digest FROM pipeline WHERE namespace = %(namespace)s AND request_id = %(request_id)s;

-- name: list
-- The pipelines of a namespace; conditions, order and limit are added.
SELECT uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time,
    (SELECT max(number) FROM pipeline_version WHERE pipeline_uid = pipeline.uid) AS latest_version,
    (SELECT count(*) FROM pipeline_version WHERE pipeline_uid = pipeline.uid) AS version_count
FROM pipeline
WHERE namespace = %(namespace)s

-- name: update
-- Display name, description and labels, where it is still at the revision that was read.
UPDATE pipeline
SET display_name = %(display_name)s, description = %(description)s, labels = %(labels)s,
    revision = revision + 1, update_time = now()
WHERE uid = %(uid)s AND revision = %(revision)s
RETURNING uid;

-- name: archive
-- In or out of the archive; one that is there already stays as it is.
UPDATE pipeline
SET archive_time = CASE WHEN %(archived)s THEN coalesce(archive_time, now()) END,
    revision = revision + CASE WHEN (archive_time IS NOT NULL) = %(archived)s THEN 0 ELSE 1 END,
    update_time = CASE WHEN (archive_time IS NOT NULL) = %(archived)s THEN update_time ELSE now() END
WHERE namespace = %(namespace)s AND id = %(id)s AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid;

-- name: lock
-- Keeps versions from being added until this transaction ends.
SELECT uid, revision, archive_time FROM pipeline WHERE namespace = %(namespace)s AND id = %(id)s FOR UPDATE;

-- name: has_versions
-- Is there any version of it?
SELECT EXISTS (SELECT 1 FROM pipeline_version WHERE pipeline_uid = %(uid)s);

-- name: delete_versions
-- Its versions go with it; runs keep the specs.
DELETE FROM pipeline_version WHERE pipeline_uid = %(uid)s;

-- name: delete
-- The pipeline itself.
DELETE FROM pipeline WHERE uid = %(uid)s;
