-- Jobs: saved run requests with a trigger, their slots and backfills; and the runs that slots make.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE job (
    uid uuid CONSTRAINT job_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace text NOT NULL CONSTRAINT job_namespace_fkey REFERENCES namespace (name),
    id text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    labels jsonb NOT NULL DEFAULT '{}',
    -- The run that each slot makes.
    experiment_uid uuid NOT NULL CONSTRAINT job_experiment_fkey REFERENCES experiment (uid),
    pipeline_id text,
    pipeline_version bigint,
    pipeline_alias text,
    spec_digest text CONSTRAINT job_spec_fkey REFERENCES spec (digest),
    run_display_name text NOT NULL DEFAULT '',
    run_description text NOT NULL DEFAULT '',
    run_labels jsonb NOT NULL DEFAULT '{}',
    parameters jsonb NOT NULL DEFAULT '{}',
    cache_policy text,
    cache_max_age_s double precision,
    deadline_s double precision,
    priority integer NOT NULL DEFAULT 0,
    max_parallel_tasks integer,
    task_timeout_s double precision,
    queue_timeout_s double precision,
    artifact_root text NOT NULL DEFAULT '',
    -- The trigger and its policies.
    interval_s double precision,
    cron text,
    time_zone text NOT NULL DEFAULT 'UTC',
    start_time timestamptz NOT NULL,
    end_time timestamptz,
    catch_up text NOT NULL DEFAULT 'NONE',
    catch_up_limit integer NOT NULL DEFAULT 100,
    overlap text NOT NULL DEFAULT 'QUEUE_ALL',
    max_concurrency integer NOT NULL DEFAULT 1,
    jitter_s double precision NOT NULL DEFAULT 0,
    max_consecutive_failures integer NOT NULL DEFAULT 0,
    -- How far it is.
    state text NOT NULL DEFAULT 'ENABLED',
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    consecutive_failures integer NOT NULL DEFAULT 0,
    cursor_time timestamptz NOT NULL,
    next_slot_time timestamptz,
    attention_time timestamptz,
    last_slot_time timestamptz,
    last_run_id text,
    fired_count bigint NOT NULL DEFAULT 0,
    sequence bigint NOT NULL DEFAULT 1,
    job_sequence bigint NOT NULL DEFAULT 1,
    request_id uuid,
    request_digest text,
    revision bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    archive_time timestamptz,
    CONSTRAINT job_id_key UNIQUE (namespace, id),
    CONSTRAINT job_request_id_key UNIQUE (namespace, request_id),
    CONSTRAINT job_source_check CHECK ((pipeline_id IS NULL) <> (spec_digest IS NULL)),
    CONSTRAINT job_trigger_check CHECK ((interval_s IS NULL) <> (cron IS NULL)),
    CONSTRAINT job_cache_policy_check CHECK (cache_policy IN ('DEFAULT', 'DISABLED', 'REFRESH')),
    CONSTRAINT job_catch_up_check CHECK (catch_up IN ('NONE', 'LATEST', 'ALL')),
    CONSTRAINT job_overlap_check CHECK (overlap IN ('ALLOW', 'SKIP', 'QUEUE_ONE', 'QUEUE_ALL', 'REPLACE')),
    CONSTRAINT job_max_concurrency_check CHECK (max_concurrency >= 1),
    CONSTRAINT job_state_check CHECK (state IN ('ENABLED', 'DISABLED'))
);
COMMENT ON COLUMN job.spec_digest IS 'of an inline spec; else a pipeline is named, with a number, an alias, or neither for the newest version';
COMMENT ON COLUMN job.cursor_time IS 'slots up to here have been decided on';
COMMENT ON COLUMN job.next_slot_time IS 'the first slot of the trigger after cursor_time, while the job fires';
COMMENT ON COLUMN job.attention_time IS 'when a server has to look at it; null: not before something happens to it';
COMMENT ON COLUMN job.fired_count IS 'also the index of the slot that fired last';
COMMENT ON COLUMN job.sequence IS 'of the newest change of the job or one of its slots';
COMMENT ON COLUMN job.job_sequence IS 'of the newest change of the job itself';

-- Whatever a server has to look at: one read of its first row tells that there is nothing.
CREATE INDEX job_attention_idx ON job (attention_time) WHERE attention_time IS NOT NULL;
-- Lists and their orders.
CREATE INDEX job_create_time_idx ON job (namespace, create_time, uid);
CREATE INDEX job_update_time_idx ON job (namespace, update_time, uid);
CREATE INDEX job_display_name_idx ON job (namespace, display_name, uid);
CREATE INDEX job_next_slot_idx ON job (namespace, coalesce(next_slot_time, '9999-12-31 00:00:00+00'), uid);
CREATE INDEX job_labels_idx ON job USING gin (labels jsonb_path_ops);
-- Whether an experiment, or a spec, is in use.
CREATE INDEX job_experiment_idx ON job (experiment_uid);
CREATE INDEX job_spec_idx ON job (spec_digest) WHERE spec_digest IS NOT NULL;

CREATE TABLE backfill (
    uid uuid CONSTRAINT backfill_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    job_uid uuid NOT NULL CONSTRAINT backfill_job_fkey REFERENCES job (uid) ON DELETE CASCADE,
    id text NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    max_concurrency integer NOT NULL,
    state text NOT NULL DEFAULT 'RUNNING',
    slot_count integer NOT NULL,
    fired_before_count integer NOT NULL,
    request_id uuid,
    request_digest text,
    create_time timestamptz NOT NULL DEFAULT now(),
    finish_time timestamptz,
    CONSTRAINT backfill_id_key UNIQUE (job_uid, id),
    CONSTRAINT backfill_request_id_key UNIQUE (job_uid, request_id),
    CONSTRAINT backfill_state_check CHECK (state IN ('RUNNING', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    CONSTRAINT backfill_finish_time_check CHECK ((finish_time IS NOT NULL) = (state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')))
);
-- A job's list of them.
CREATE INDEX backfill_create_time_idx ON backfill (job_uid, create_time, uid);
-- Those that are open.
CREATE INDEX backfill_open_idx ON backfill (job_uid, create_time) WHERE finish_time IS NULL;

CREATE TABLE job_slot (
    job_uid uuid NOT NULL CONSTRAINT job_slot_job_fkey REFERENCES job (uid) ON DELETE CASCADE,
    slot_time timestamptz NOT NULL,
    last_slot_time timestamptz,
    covers_many boolean NOT NULL GENERATED ALWAYS AS (last_slot_time IS NOT NULL) STORED,
    kind text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    run_uid uuid,
    run_id text,
    index bigint,
    due_time timestamptz NOT NULL,
    fire_time timestamptz,
    backfill_uid uuid CONSTRAINT job_slot_backfill_fkey REFERENCES backfill (uid),
    sequence bigint NOT NULL,
    request_id uuid,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT job_slot_pkey PRIMARY KEY (job_uid, slot_time, covers_many),
    CONSTRAINT job_slot_request_id_key UNIQUE (job_uid, request_id),
    CONSTRAINT job_slot_kind_check CHECK (kind IN ('SCHEDULED', 'MANUAL', 'BACKFILL')),
    CONSTRAINT job_slot_state_check CHECK (state IN ('WAITING', 'FIRED', 'SKIPPED')),
    CONSTRAINT job_slot_fired_check CHECK ((state = 'FIRED') = (run_uid IS NOT NULL AND fire_time IS NOT NULL AND index IS NOT NULL))
);
COMMENT ON COLUMN job_slot.last_slot_time IS 'of a row that stands for many slots which were skipped together; one of them with a row of its own is told by that';
COMMENT ON COLUMN job_slot.run_uid IS 'of a run that may be gone';
COMMENT ON COLUMN job_slot.sequence IS 'of its newest change, among those of its job';

-- What a watch tells next; also which slots are the oldest that are kept.
CREATE INDEX job_slot_sequence_idx ON job_slot (job_uid, sequence);
-- Those whose turn comes, and how many there are.
CREATE INDEX job_slot_waiting_idx ON job_slot (job_uid, kind, slot_time) WHERE state = 'WAITING';
-- How far a backfill is, and which of its slots come next.
CREATE INDEX job_slot_backfill_idx ON job_slot (backfill_uid, state, slot_time) WHERE backfill_uid IS NOT NULL;

ALTER TABLE run
    ADD COLUMN job_uid uuid,
    ADD COLUMN job_id text,
    ADD COLUMN slot_time timestamptz,
    ADD COLUMN backfill_uid uuid,
    ADD COLUMN job_unseen boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN run.job_uid IS 'of the job that made it, which may be gone';
COMMENT ON COLUMN run.job_unseen IS 'it has ended, and its job does not know of that yet';

-- A slot makes one run. Serves the list of a job's runs as well.
CREATE UNIQUE INDEX run_slot_idx ON run (job_uid, slot_time) WHERE job_uid IS NOT NULL;
-- How many runs of a job are not finished, and which is the oldest.
CREATE INDEX run_job_open_idx ON run (job_uid, slot_time) WHERE job_uid IS NOT NULL AND end_time IS NULL;
-- Which jobs have to hear of a run's end.
CREATE INDEX run_job_unseen_idx ON run (job_uid) WHERE job_unseen;
-- The runs of a job in a list.
CREATE INDEX run_job_idx ON run (namespace, job_id, create_time, uid) WHERE job_id IS NOT NULL;
-- How many runs of a backfill came to what.
CREATE INDEX run_backfill_idx ON run (backfill_uid) WHERE backfill_uid IS NOT NULL;
