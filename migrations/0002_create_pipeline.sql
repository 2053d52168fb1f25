-- Specs, stored once per digest, and the named, numbered pipelines that refer to them.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE spec (
    digest text NOT NULL,
    document bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT spec_pkey PRIMARY KEY (digest),
    CONSTRAINT spec_digest_check CHECK (digest ~ '^sha256:[0-9a-f]{64}$')
);

CREATE TABLE pipeline (
    uid uuid NOT NULL DEFAULT gen_random_uuid(),
    namespace text NOT NULL,
    id text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    labels jsonb NOT NULL DEFAULT '{}',
    last_number bigint NOT NULL DEFAULT 0,
    request_id uuid,
    request_digest text,
    revision bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    archive_time timestamptz,
    CONSTRAINT pipeline_pkey PRIMARY KEY (uid),
    CONSTRAINT pipeline_namespace_fkey FOREIGN KEY (namespace) REFERENCES namespace (name),
    CONSTRAINT pipeline_id_key UNIQUE (namespace, id),
    CONSTRAINT pipeline_request_id_key UNIQUE (namespace, request_id)
);
COMMENT ON COLUMN pipeline.last_number IS 'of the newest version ever made; numbers are not used again';
-- ListPipelines by create_time, the default.
CREATE INDEX pipeline_create_time_idx ON pipeline (namespace, create_time, uid);
-- ListPipelines by display_name.
CREATE INDEX pipeline_display_name_idx ON pipeline (namespace, display_name, uid);
-- ListPipelines by update_time.
CREATE INDEX pipeline_update_time_idx ON pipeline (namespace, update_time, uid);
-- Filters on labels.
CREATE INDEX pipeline_labels_idx ON pipeline USING gin (labels jsonb_path_ops);

CREATE TABLE pipeline_version (
    uid uuid NOT NULL DEFAULT gen_random_uuid(),
    namespace text NOT NULL,
    pipeline_uid uuid NOT NULL,
    number bigint NOT NULL,
    alias text,
    display_name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    labels jsonb NOT NULL DEFAULT '{}',
    spec_digest text NOT NULL,
    sdk_version text NOT NULL DEFAULT '',
    interface jsonb NOT NULL DEFAULT '[]',
    request_id uuid,
    request_digest text,
    revision bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pipeline_version_pkey PRIMARY KEY (uid),
    CONSTRAINT pipeline_version_pipeline_fkey FOREIGN KEY (pipeline_uid) REFERENCES pipeline (uid),
    CONSTRAINT pipeline_version_spec_fkey FOREIGN KEY (spec_digest) REFERENCES spec (digest),
    CONSTRAINT pipeline_version_number_key UNIQUE (pipeline_uid, number),
    CONSTRAINT pipeline_version_alias_key UNIQUE (pipeline_uid, alias),
    CONSTRAINT pipeline_version_request_id_key UNIQUE (namespace, request_id)
);
-- Which versions hold a spec: asked before a spec is dropped.
CREATE INDEX pipeline_version_spec_idx ON pipeline_version (spec_digest);
