-- name: experiments
-- Experiments of a namespace, or of all, with the time of their newest runs; conditions, order and limit are added.
SELECT experiment.uid, experiment.namespace, experiment.id, experiment.display_name, experiment.description,
    experiment.labels, experiment.revision, experiment.create_time, experiment.update_time, experiment.archive_time,
    (SELECT max(run.create_time) FROM run WHERE run.experiment_uid = experiment.uid) AS last_run_time
FROM experiment
WHERE (%(namespace)s::text IS NULL OR experiment.namespace = %(namespace)s)

-- name: experiment_record
-- One experiment of a namespace, or of all; a text that is no uid names none.
SELECT uid, namespace, id, display_name, description, labels, revision, create_time, update_time, archive_time
FROM experiment
WHERE uid = CASE
        WHEN %(uid)s::text ~ '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'
        THEN %(uid)s::text::uuid
    END
    AND (%(namespace)s::text IS NULL OR namespace = %(namespace)s);

-- name: pipelines
-- Pipelines of a namespace, or of all, with the names that KFP knows; conditions, order and limit are added.
SELECT pipeline.uid, pipeline.namespace, pipeline.id, pipeline.display_name, pipeline.description, pipeline.labels,
    pipeline.revision, pipeline.create_time, pipeline.update_time, pipeline.archive_time,
    (SELECT max(number) FROM pipeline_version WHERE pipeline_uid = pipeline.uid) AS latest_version,
    (SELECT count(*) FROM pipeline_version WHERE pipeline_uid = pipeline.uid) AS version_count,
    coalesce(pipeline.kfp_name, pipeline.id) AS kfp_name
FROM pipeline
WHERE (%(namespace)s::text IS NULL OR pipeline.namespace = %(namespace)s)

-- name: versions
-- Versions of a pipeline, or of all of a namespace, or of all; conditions, order and limit are added.
SELECT v.uid, v.namespace, v.pipeline_uid, p.id AS pipeline_id, v.number, v.alias, v.display_name, v.description,
    v.labels, v.spec_digest, v.sdk_version, v.interface, v.revision, v.create_time, v.update_time,
    v.cache_policy, v.cache_max_age_s, coalesce(v.kfp_name, v.alias, v.number::text) AS kfp_name, v.code_source_url
FROM pipeline_version AS v
JOIN pipeline AS p ON p.uid = v.pipeline_uid
WHERE (%(namespace)s::text IS NULL OR v.namespace = %(namespace)s)
    AND (%(pipeline_uid)s::uuid IS NULL OR v.pipeline_uid = %(pipeline_uid)s)
