-- Servers and their leases, and the runs they own.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE server (
    server_id uuid NOT NULL,
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT server_pkey PRIMARY KEY (server_id)
);
COMMENT ON TABLE server IS 'one row a server that is alive; its runs may be taken once it has expired';

CREATE TABLE run (
    uid uuid NOT NULL,
    namespace text NOT NULL,
    id text NOT NULL,
    experiment_uid uuid NOT NULL,
    pipeline_id text,
    pipeline_version bigint,
    spec_digest text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    labels jsonb NOT NULL DEFAULT '{}',
    parameters jsonb NOT NULL DEFAULT '{}',
    cache_policy text NOT NULL DEFAULT 'DEFAULT',
    deadline_s double precision,
    artifact_root text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'PENDING',
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    failed_task_id text,
    outputs jsonb NOT NULL DEFAULT '{}',
    traceparent text,
    request_id uuid,
    request_digest text,
    revision bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    start_time timestamptz,
    end_time timestamptz,
    update_time timestamptz NOT NULL DEFAULT now(),
    archive_time timestamptz,
    event_sequence bigint NOT NULL DEFAULT 0,
    owner uuid,
    fence bigint NOT NULL DEFAULT 0,
    cancel_request_time timestamptz,
    cancel_message text NOT NULL DEFAULT '',
    retry_request_time timestamptz,
    delete_request_time timestamptz,
    CONSTRAINT run_pkey PRIMARY KEY (uid),
    CONSTRAINT run_namespace_fkey FOREIGN KEY (namespace) REFERENCES namespace (name),
    CONSTRAINT run_experiment_fkey FOREIGN KEY (experiment_uid) REFERENCES experiment (uid),
    CONSTRAINT run_spec_fkey FOREIGN KEY (spec_digest) REFERENCES spec (digest),
    CONSTRAINT run_owner_fkey FOREIGN KEY (owner) REFERENCES server (server_id) ON DELETE SET NULL,
    CONSTRAINT run_id_key UNIQUE (namespace, id),
    CONSTRAINT run_request_id_key UNIQUE (namespace, request_id),
    CONSTRAINT run_cache_policy_check CHECK (cache_policy IN ('DEFAULT', 'DISABLED', 'REFRESH')),
    CONSTRAINT run_state_check CHECK (
        state IN ('PENDING', 'RUNNING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED')
    ),
    CONSTRAINT run_end_time_check CHECK (
        (end_time IS NOT NULL) = (state IN ('SUCCEEDED', 'FAILED', 'CANCELLED'))
    )
) WITH (fillfactor = 80);
COMMENT ON COLUMN run.update_time IS 'of the last move from state to state, or edit; a step leaves it alone';
COMMENT ON COLUMN run.owner IS 'the server that holds the lease; the only one that moves the run';
COMMENT ON COLUMN run.fence IS 'goes up by one with each lease; every write of an owner names it';
-- ListRuns by create_time, the default.
CREATE INDEX run_create_time_idx ON run (namespace, create_time, uid);
-- ListRuns of one state.
CREATE INDEX run_state_idx ON run (namespace, state, create_time, uid);
-- ListRuns of one experiment; is there any run in an experiment that is to be deleted?
CREATE INDEX run_experiment_idx ON run (experiment_uid, create_time, uid);
-- ListRuns of one pipeline.
CREATE INDEX run_pipeline_idx ON run (namespace, pipeline_id, create_time, uid) WHERE pipeline_id IS NOT NULL;
-- ListRuns by display_name.
CREATE INDEX run_display_name_idx ON run (namespace, display_name, uid);
-- ListRuns by update_time.
CREATE INDEX run_update_time_idx ON run (namespace, update_time, uid);
-- ListRuns by start_time; those that have none come last.
CREATE INDEX run_start_time_idx
    ON run (namespace, coalesce(start_time, '9999-12-31 00:00:00+00'::timestamptz), uid);
-- ListRuns by end_time; those that have none come last.
CREATE INDEX run_end_time_idx
    ON run (namespace, coalesce(end_time, '9999-12-31 00:00:00+00'::timestamptz), uid);
-- Filters on labels.
CREATE INDEX run_labels_idx ON run USING gin (labels jsonb_path_ops);
-- Runs that wait for an owner, oldest first: few, whatever the size of the table.
CREATE INDEX run_free_idx ON run (create_time) WHERE owner IS NULL
    AND (end_time IS NULL OR retry_request_time IS NOT NULL OR delete_request_time IS NOT NULL);
-- The runs of a server whose lease has run out.
CREATE INDEX run_owner_idx ON run (owner) WHERE owner IS NOT NULL;
-- What was asked of a server's runs: looked for at every wake-up.
CREATE INDEX run_request_idx ON run (owner) WHERE cancel_request_time IS NOT NULL
    OR retry_request_time IS NOT NULL OR delete_request_time IS NOT NULL;
-- Which runs hold a spec: asked before a spec is dropped.
CREATE INDEX run_spec_idx ON run (spec_digest);
