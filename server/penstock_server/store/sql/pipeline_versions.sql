-- name: next_number
-- Numbers are given once, also when their version is deleted.
UPDATE pipeline
SET last_number = last_number + 1, update_time = now()
WHERE uid = %(pipeline_uid)s
RETURNING last_number;

-- name: insert
-- A new version; nothing comes back when its alias or its name for KFP is taken.
INSERT INTO pipeline_version (
    namespace, pipeline_uid, number, alias, display_name, description, labels, spec_digest, sdk_version, interface,
    request_id, request_digest, cache_policy, cache_max_age_s, kfp_name, code_source_url
) VALUES (
    %(namespace)s, %(pipeline_uid)s, %(number)s, %(alias)s, %(display_name)s, %(description)s, %(labels)s,
    %(spec_digest)s, %(sdk_version)s, %(interface)s, %(request_id)s, %(request_digest)s,
    %(cache_policy)s, %(cache_max_age_s)s, %(kfp_name)s, %(code_source_url)s
)
ON CONFLICT DO NOTHING
RETURNING uid;

-- name: by_request
-- What a request has made before.
SELECT v.number, p.id, v.request_digest
FROM pipeline_version AS v
JOIN pipeline AS p ON p.uid = v.pipeline_uid
WHERE v.namespace = %(namespace)s AND v.request_id = %(request_id)s;

-- name: get
-- One version: by number, by alias, or the newest when neither is given.
SELECT v.uid, v.namespace, v.pipeline_uid, p.id AS pipeline_id, v.number, v.alias, v.display_name, v.description,
    v.labels, v.spec_digest, v.sdk_version, v.interface, v.revision, v.create_time, v.update_time,
    v.cache_policy, v.cache_max_age_s
FROM pipeline_version AS v
JOIN pipeline AS p ON p.uid = v.pipeline_uid
WHERE p.namespace = %(namespace)s AND p.id = %(pipeline_id)s
    AND (%(number)s::bigint IS NULL OR v.number = %(number)s)
    AND (%(alias)s::text IS NULL OR v.alias = %(alias)s)
ORDER BY v.number DESC
LIMIT 1;

-- name: list
-- The versions of a pipeline; conditions, order and limit are added.
SELECT v.uid, v.namespace, v.pipeline_uid, p.id AS pipeline_id, v.number, v.alias, v.display_name, v.description,
    v.labels, v.spec_digest, v.sdk_version, v.interface, v.revision, v.create_time, v.update_time,
    v.cache_policy, v.cache_max_age_s
FROM pipeline_version AS v
JOIN pipeline AS p ON p.uid = v.pipeline_uid
WHERE p.namespace = %(namespace)s AND p.id = %(pipeline_id)s

-- name: update
-- Display name, description and labels, where it is still at the revision that was read.
UPDATE pipeline_version
SET display_name = %(display_name)s, description = %(description)s, labels = %(labels)s,
    revision = revision + 1, update_time = now()
WHERE uid = %(uid)s AND revision = %(revision)s
RETURNING uid;

-- name: delete
-- The version itself; runs keep the spec.
DELETE FROM pipeline_version
WHERE uid = %(uid)s AND (%(revision)s::bigint IS NULL OR revision = %(revision)s)
RETURNING uid;
