-- The tenants, their experiments, and what servers of one database share. Everything else refers to these.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE namespace (
    name text NOT NULL,
    uid uuid NOT NULL DEFAULT gen_random_uuid(),
    display_name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    labels jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT namespace_pkey PRIMARY KEY (name),
    CONSTRAINT namespace_uid_key UNIQUE (uid)
);
-- ListNamespaces, newest first.
CREATE INDEX namespace_create_time_idx ON namespace (create_time DESC, uid DESC);

CREATE TABLE experiment (
    uid uuid NOT NULL DEFAULT gen_random_uuid(),
    namespace text NOT NULL,
    id text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    labels jsonb NOT NULL DEFAULT '{}',
    request_id uuid,
    request_digest text,
    revision bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    archive_time timestamptz,
    CONSTRAINT experiment_pkey PRIMARY KEY (uid),
    CONSTRAINT experiment_namespace_fkey FOREIGN KEY (namespace) REFERENCES namespace (name),
    CONSTRAINT experiment_id_key UNIQUE (namespace, id),
    CONSTRAINT experiment_request_id_key UNIQUE (namespace, request_id)
);
-- ListExperiments by create_time, the default.
CREATE INDEX experiment_create_time_idx ON experiment (namespace, create_time, uid);
-- ListExperiments by display_name.
CREATE INDEX experiment_display_name_idx ON experiment (namespace, display_name, uid);
-- ListExperiments by update_time.
CREATE INDEX experiment_update_time_idx ON experiment (namespace, update_time, uid);
-- Filters on labels.
CREATE INDEX experiment_labels_idx ON experiment USING gin (labels jsonb_path_ops);

CREATE TABLE shared_secret (
    purpose text NOT NULL,
    value bytea NOT NULL,
    CONSTRAINT shared_secret_pkey PRIMARY KEY (purpose)
);

INSERT INTO namespace (name, display_name) VALUES ('default', 'Default');
INSERT INTO experiment (namespace, id, display_name) VALUES ('default', 'default', 'Default');
