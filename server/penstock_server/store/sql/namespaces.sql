-- name: insert
-- A new namespace; nothing comes back when there is one of that name.
INSERT INTO namespace (name, display_name, description, labels)
VALUES (%(name)s, %(display_name)s, %(description)s, %(labels)s)
ON CONFLICT (name) DO NOTHING
RETURNING name, uid, display_name, description, labels, revision, create_time, update_time;

-- name: insert_default_experiment
-- Each namespace has one from the start.
INSERT INTO experiment (namespace, id, display_name) VALUES (%(name)s, 'default', 'Default');

-- name: get
-- One namespace.
SELECT name, uid, display_name, description, labels, revision, create_time, update_time
FROM namespace
WHERE name = %(name)s;

-- name: list
-- All namespaces; conditions, order and limit are added.
SELECT name, uid, display_name, description, labels, revision, create_time, update_time
FROM namespace
WHERE true

-- name: update
-- Display name, description and labels, where it is still at the revision that was read.
UPDATE namespace
SET display_name = %(display_name)s, description = %(description)s, labels = %(labels)s,
    revision = revision + 1, update_time = now()
WHERE name = %(name)s AND revision = %(revision)s
RETURNING name, uid, display_name, description, labels, revision, create_time, update_time;

-- name: lock
-- Keeps everybody else from adding to the namespace until this transaction ends.
SELECT 1 FROM namespace WHERE name = %(name)s FOR UPDATE;

-- name: holds_resources
-- Is there anything in it but its default experiment?
SELECT
    EXISTS (SELECT 1 FROM run WHERE namespace = %(name)s)
    OR EXISTS (SELECT 1 FROM job WHERE namespace = %(name)s)
    OR EXISTS (SELECT 1 FROM pipeline WHERE namespace = %(name)s)
    OR EXISTS (SELECT 1 FROM experiment WHERE namespace = %(name)s AND id <> 'default');

-- name: delete_experiments
-- The default experiment goes with its namespace.
DELETE FROM experiment WHERE namespace = %(name)s;

-- name: delete
-- The namespace itself.
DELETE FROM namespace WHERE name = %(name)s;
