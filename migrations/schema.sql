-- The schema that all migrations together make, as pg_dump tells it. Written by
-- `python -m tests.store.schema_dump`; a test compares it with what the migrations do.

CREATE FUNCTION public.delete_events_of_run() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM event WHERE run_uid = old.uid;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.fold_run_tally() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    WITH folded AS (
        DELETE FROM run_tally
        WHERE id IN (SELECT id FROM run_tally ORDER BY id LIMIT 1024 FOR UPDATE SKIP LOCKED)
        RETURNING namespace, experiment_uid, archived, count
    )
    INSERT INTO run_tally (namespace, experiment_uid, archived, count)
    SELECT namespace, experiment_uid, archived, sum(count)
    FROM folded
    GROUP BY namespace, experiment_uid, archived
    HAVING sum(count) <> 0;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.forget_run_tally() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM run_tally;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.tally_changed_run() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO run_tally (namespace, experiment_uid, archived, count)
    SELECT state.namespace, state.experiment_uid, state.archived, state.count
    FROM (
        VALUES
            (old.namespace, old.experiment_uid, old.archive_time IS NOT NULL, -1, old.delete_request_time),
            (new.namespace, new.experiment_uid, new.archive_time IS NOT NULL, 1, new.delete_request_time)
    ) AS state (namespace, experiment_uid, archived, count, delete_request_time)
    WHERE state.delete_request_time IS NULL;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.tally_deleted_runs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO run_tally (namespace, experiment_uid, archived, count)
    SELECT namespace, experiment_uid, archive_time IS NOT NULL, -count(*)
    FROM gone
    WHERE delete_request_time IS NULL
    GROUP BY 1, 2, 3;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.tally_made_runs() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO run_tally (namespace, experiment_uid, archived, count)
    SELECT namespace, experiment_uid, archive_time IS NOT NULL, count(*)
    FROM made
    WHERE delete_request_time IS NULL
    GROUP BY 1, 2, 3;
    RETURN NULL;
END
$$;

CREATE TABLE public.artifact (
    uid uuid NOT NULL,
    namespace text NOT NULL,
    run_uid uuid NOT NULL,
    task_id text NOT NULL,
    output text NOT NULL,
    index integer NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    schema_version text DEFAULT ''::text NOT NULL,
    uri text NOT NULL,
    digest text DEFAULT ''::text NOT NULL,
    size_bytes bigint DEFAULT 0 NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.attempt (
    run_uid uuid NOT NULL,
    task_id text NOT NULL,
    number integer NOT NULL,
    state text DEFAULT 'LAUNCHING'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    exit_code integer,
    log_tail text DEFAULT ''::text NOT NULL,
    launcher text NOT NULL,
    host text DEFAULT ''::text NOT NULL,
    handle text DEFAULT ''::text NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    start_time timestamp with time zone,
    end_time timestamp with time zone,
    failure_class text,
    CONSTRAINT attempt_end_time_check CHECK (((end_time IS NOT NULL) = (state = ANY (ARRAY['SUCCEEDED'::text, 'FAILED'::text, 'LOST'::text, 'CANCELLED'::text])))),
    CONSTRAINT attempt_failure_class_check CHECK ((failure_class = ANY (ARRAY['STEP'::text, 'OUT_OF_MEMORY'::text, 'TIMEOUT'::text, 'ENVIRONMENT'::text, 'INPUT'::text, 'LOST'::text]))),
    CONSTRAINT attempt_state_check CHECK ((state = ANY (ARRAY['LAUNCHING'::text, 'RUNNING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'LOST'::text, 'CANCELLED'::text])))
)
WITH (fillfactor='70');

CREATE TABLE public.backfill (
    uid uuid DEFAULT gen_random_uuid() NOT NULL,
    job_uid uuid NOT NULL,
    id text NOT NULL,
    start_time timestamp with time zone NOT NULL,
    end_time timestamp with time zone NOT NULL,
    max_concurrency integer NOT NULL,
    state text DEFAULT 'RUNNING'::text NOT NULL,
    slot_count integer NOT NULL,
    fired_before_count integer NOT NULL,
    request_id uuid,
    request_digest text,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    finish_time timestamp with time zone,
    CONSTRAINT backfill_finish_time_check CHECK (((finish_time IS NOT NULL) = (state = ANY (ARRAY['SUCCEEDED'::text, 'FAILED'::text, 'CANCELLED'::text])))),
    CONSTRAINT backfill_state_check CHECK ((state = ANY (ARRAY['RUNNING'::text, 'CANCELLING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'CANCELLED'::text])))
);

CREATE TABLE public.event (
    run_uid uuid NOT NULL,
    sequence bigint NOT NULL,
    namespace text NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    "time" timestamp with time zone DEFAULT now() NOT NULL,
    subject text NOT NULL,
    task_id text,
    attempt integer,
    from_state text,
    to_state text,
    reason text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    CONSTRAINT event_subject_check CHECK ((subject = ANY (ARRAY['RUN'::text, 'TASK'::text, 'ATTEMPT'::text, 'NOTICE'::text])))
);

CREATE TABLE public.experiment (
    uid uuid DEFAULT gen_random_uuid() NOT NULL,
    namespace text NOT NULL,
    id text NOT NULL,
    display_name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    request_id uuid,
    request_digest text,
    revision bigint DEFAULT 1 NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    update_time timestamp with time zone DEFAULT now() NOT NULL,
    archive_time timestamp with time zone
);

CREATE TABLE public.job (
    uid uuid DEFAULT gen_random_uuid() NOT NULL,
    namespace text NOT NULL,
    id text NOT NULL,
    display_name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    experiment_uid uuid NOT NULL,
    pipeline_id text,
    pipeline_version bigint,
    pipeline_alias text,
    spec_digest text,
    run_display_name text DEFAULT ''::text NOT NULL,
    run_description text DEFAULT ''::text NOT NULL,
    run_labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    cache_policy text,
    cache_max_age_s double precision,
    deadline_s double precision,
    priority integer DEFAULT 0 NOT NULL,
    max_parallel_tasks integer,
    task_timeout_s double precision,
    queue_timeout_s double precision,
    artifact_root text DEFAULT ''::text NOT NULL,
    interval_s double precision,
    cron text,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    start_time timestamp with time zone NOT NULL,
    end_time timestamp with time zone,
    catch_up text DEFAULT 'NONE'::text NOT NULL,
    catch_up_limit integer DEFAULT 100 NOT NULL,
    overlap text DEFAULT 'QUEUE_ALL'::text NOT NULL,
    max_concurrency integer DEFAULT 1 NOT NULL,
    jitter_s double precision DEFAULT 0 NOT NULL,
    max_consecutive_failures integer DEFAULT 0 NOT NULL,
    state text DEFAULT 'ENABLED'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    consecutive_failures integer DEFAULT 0 NOT NULL,
    cursor_time timestamp with time zone NOT NULL,
    next_slot_time timestamp with time zone,
    attention_time timestamp with time zone,
    last_slot_time timestamp with time zone,
    last_run_id text,
    fired_count bigint DEFAULT 0 NOT NULL,
    sequence bigint DEFAULT 1 NOT NULL,
    job_sequence bigint DEFAULT 1 NOT NULL,
    request_id uuid,
    request_digest text,
    revision bigint DEFAULT 1 NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    update_time timestamp with time zone DEFAULT now() NOT NULL,
    archive_time timestamp with time zone,
    pipeline_namespace text,
    CONSTRAINT job_cache_policy_check CHECK ((cache_policy = ANY (ARRAY['DEFAULT'::text, 'DISABLED'::text, 'REFRESH'::text]))),
    CONSTRAINT job_catch_up_check CHECK ((catch_up = ANY (ARRAY['NONE'::text, 'LATEST'::text, 'ALL'::text]))),
    CONSTRAINT job_max_concurrency_check CHECK ((max_concurrency >= 1)),
    CONSTRAINT job_overlap_check CHECK ((overlap = ANY (ARRAY['ALLOW'::text, 'SKIP'::text, 'QUEUE_ONE'::text, 'QUEUE_ALL'::text, 'REPLACE'::text]))),
    CONSTRAINT job_source_check CHECK (((pipeline_id IS NULL) <> (spec_digest IS NULL))),
    CONSTRAINT job_state_check CHECK ((state = ANY (ARRAY['ENABLED'::text, 'DISABLED'::text]))),
    CONSTRAINT job_trigger_check CHECK (((interval_s IS NULL) <> (cron IS NULL)))
);

COMMENT ON COLUMN public.job.spec_digest IS 'of an inline spec; else a pipeline is named, with a number, an alias, or neither for the newest version';

COMMENT ON COLUMN public.job.cursor_time IS 'slots up to here have been decided on';

COMMENT ON COLUMN public.job.next_slot_time IS 'the first slot of the trigger after cursor_time, while the job fires';

COMMENT ON COLUMN public.job.attention_time IS 'when a server has to look at it; null: not before something happens to it';

COMMENT ON COLUMN public.job.fired_count IS 'also the index of the slot that fired last';

COMMENT ON COLUMN public.job.sequence IS 'of the newest change of the job or one of its slots';

COMMENT ON COLUMN public.job.job_sequence IS 'of the newest change of the job itself';

COMMENT ON COLUMN public.job.pipeline_namespace IS 'where its pipeline is; null: in its own namespace';

CREATE TABLE public.job_slot (
    job_uid uuid NOT NULL,
    slot_time timestamp with time zone NOT NULL,
    last_slot_time timestamp with time zone,
    covers_many boolean GENERATED ALWAYS AS ((last_slot_time IS NOT NULL)) STORED NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    run_uid uuid,
    run_id text,
    index bigint,
    due_time timestamp with time zone NOT NULL,
    fire_time timestamp with time zone,
    backfill_uid uuid,
    sequence bigint NOT NULL,
    request_id uuid,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    update_time timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT job_slot_fired_check CHECK (((state = 'FIRED'::text) = ((run_uid IS NOT NULL) AND (fire_time IS NOT NULL) AND (index IS NOT NULL)))),
    CONSTRAINT job_slot_kind_check CHECK ((kind = ANY (ARRAY['SCHEDULED'::text, 'MANUAL'::text, 'BACKFILL'::text]))),
    CONSTRAINT job_slot_state_check CHECK ((state = ANY (ARRAY['WAITING'::text, 'FIRED'::text, 'SKIPPED'::text])))
);

COMMENT ON COLUMN public.job_slot.last_slot_time IS 'of a row that stands for many slots which were skipped together; one of them with a row of its own is told by that';

COMMENT ON COLUMN public.job_slot.run_uid IS 'of a run that may be gone';

COMMENT ON COLUMN public.job_slot.sequence IS 'of its newest change, among those of its job';

CREATE TABLE public.namespace (
    name text NOT NULL,
    uid uuid DEFAULT gen_random_uuid() NOT NULL,
    display_name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    revision bigint DEFAULT 1 NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    update_time timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.pipeline (
    uid uuid DEFAULT gen_random_uuid() NOT NULL,
    namespace text NOT NULL,
    id text NOT NULL,
    display_name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    last_number bigint DEFAULT 0 NOT NULL,
    request_id uuid,
    request_digest text,
    revision bigint DEFAULT 1 NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    update_time timestamp with time zone DEFAULT now() NOT NULL,
    archive_time timestamp with time zone,
    kfp_name text
);

COMMENT ON COLUMN public.pipeline.last_number IS 'of the newest version ever made; numbers are not used again';

COMMENT ON COLUMN public.pipeline.kfp_name IS 'its name for clients of KFP where that cannot be the id; null: the id is the name';

CREATE TABLE public.pipeline_version (
    uid uuid DEFAULT gen_random_uuid() NOT NULL,
    namespace text NOT NULL,
    pipeline_uid uuid NOT NULL,
    number bigint NOT NULL,
    alias text,
    display_name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    spec_digest text NOT NULL,
    sdk_version text DEFAULT ''::text NOT NULL,
    interface jsonb DEFAULT '[]'::jsonb NOT NULL,
    request_id uuid,
    request_digest text,
    revision bigint DEFAULT 1 NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    update_time timestamp with time zone DEFAULT now() NOT NULL,
    cache_policy text DEFAULT 'DEFAULT'::text NOT NULL,
    cache_max_age_s double precision,
    kfp_name text,
    code_source_url text DEFAULT ''::text NOT NULL,
    CONSTRAINT pipeline_version_cache_policy_check CHECK ((cache_policy = ANY (ARRAY['DEFAULT'::text, 'DISABLED'::text, 'REFRESH'::text])))
);

COMMENT ON COLUMN public.pipeline_version.kfp_name IS 'its name for clients of KFP where that cannot be the alias; null: the alias, or the number without one';

COMMENT ON COLUMN public.pipeline_version.code_source_url IS 'where its source code is; a note that clients of KFP leave';

CREATE TABLE public.run (
    uid uuid NOT NULL,
    namespace text NOT NULL,
    id text NOT NULL,
    experiment_uid uuid NOT NULL,
    pipeline_id text,
    pipeline_version bigint,
    spec_digest text NOT NULL,
    display_name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    labels jsonb DEFAULT '{}'::jsonb NOT NULL,
    parameters jsonb DEFAULT '{}'::jsonb NOT NULL,
    cache_policy text DEFAULT 'DEFAULT'::text NOT NULL,
    deadline_s double precision,
    artifact_root text DEFAULT ''::text NOT NULL,
    state text DEFAULT 'PENDING'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    failed_task_id text,
    outputs jsonb DEFAULT '{}'::jsonb NOT NULL,
    traceparent text,
    request_id uuid,
    request_digest text,
    revision bigint DEFAULT 1 NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    start_time timestamp with time zone,
    end_time timestamp with time zone,
    update_time timestamp with time zone DEFAULT now() NOT NULL,
    archive_time timestamp with time zone,
    event_sequence bigint DEFAULT 0 NOT NULL,
    owner uuid,
    fence bigint DEFAULT 0 NOT NULL,
    cancel_request_time timestamp with time zone,
    cancel_message text DEFAULT ''::text NOT NULL,
    retry_request_time timestamp with time zone,
    delete_request_time timestamp with time zone,
    priority integer DEFAULT 0 NOT NULL,
    max_parallel_tasks integer,
    task_timeout_s double precision,
    queue_timeout_s double precision,
    cache_max_age_s double precision,
    pause_time timestamp with time zone,
    pause_request_time timestamp with time zone,
    limits_request_time timestamp with time zone,
    rerun_of uuid,
    cancel_exit_tasks boolean DEFAULT false NOT NULL,
    job_uid uuid,
    job_id text,
    slot_time timestamp with time zone,
    backfill_uid uuid,
    job_unseen boolean DEFAULT false NOT NULL,
    pipeline_namespace text,
    origin text DEFAULT ''::text NOT NULL,
    CONSTRAINT run_cache_policy_check CHECK ((cache_policy = ANY (ARRAY['DEFAULT'::text, 'DISABLED'::text, 'REFRESH'::text]))),
    CONSTRAINT run_end_time_check CHECK (((end_time IS NOT NULL) = (state = ANY (ARRAY['SUCCEEDED'::text, 'FAILED'::text, 'CANCELLED'::text])))),
    CONSTRAINT run_max_parallel_tasks_check CHECK ((max_parallel_tasks >= 1)),
    CONSTRAINT run_origin_check CHECK (((origin = ''::text) OR (end_time IS NOT NULL))),
    CONSTRAINT run_priority_check CHECK (((priority >= '-1000'::integer) AND (priority <= 1000))),
    CONSTRAINT run_state_check CHECK ((state = ANY (ARRAY['PENDING'::text, 'RUNNING'::text, 'CANCELLING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'CANCELLED'::text])))
)
WITH (fillfactor='80');

COMMENT ON COLUMN public.run.update_time IS 'of the last move from state to state, or edit; a step leaves it alone';

COMMENT ON COLUMN public.run.owner IS 'the server that holds the lease; the only one that moves the run';

COMMENT ON COLUMN public.run.fence IS 'goes up by one with each lease; every write of an owner names it';

COMMENT ON COLUMN public.run.pause_time IS 'since then nothing new is to start; the owner takes it up by pause_request_time';

COMMENT ON COLUMN public.run.limits_request_time IS 'priority or max_parallel_tasks changed, and the owner has not read them yet';

COMMENT ON COLUMN public.run.rerun_of IS 'uid of a run that may be gone';

COMMENT ON COLUMN public.run.cancel_exit_tasks IS 'a cancel was asked for that does not spare exit tasks either; until the run has ended';

COMMENT ON COLUMN public.run.job_uid IS 'of the job that made it, which may be gone';

COMMENT ON COLUMN public.run.job_unseen IS 'it has ended, and its job does not know of that yet';

COMMENT ON COLUMN public.run.pipeline_namespace IS 'where its pipeline is; null: in its own namespace';

COMMENT ON COLUMN public.run.origin IS 'where it ran, of a run that was imported; empty: here';

CREATE TABLE public.run_tally (
    id bigint NOT NULL,
    namespace text NOT NULL,
    experiment_uid uuid NOT NULL,
    archived boolean NOT NULL,
    count bigint NOT NULL
);

COMMENT ON TABLE public.run_tally IS 'runs, but for those to be deleted, counted: the sum of all rows counts. Rows are only added, so that runs made at the
same time do not wait for each other; now and then many are replaced by their sums';

COMMENT ON COLUMN public.run_tally.count IS 'how many more runs there are; less than 0: fewer';

ALTER TABLE public.run_tally ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.run_tally_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.schema_migration (
    name text NOT NULL,
    apply_time timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.server (
    server_id uuid NOT NULL,
    expire_time timestamp with time zone NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.server IS 'one row a server that is alive; its runs may be taken once it has expired';

CREATE TABLE public.shared_secret (
    purpose text NOT NULL,
    value bytea NOT NULL
);

CREATE TABLE public.spec (
    digest text NOT NULL,
    document bytea NOT NULL,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT spec_digest_check CHECK ((digest ~ '^sha256:[0-9a-f]{64}$'::text))
);

CREATE TABLE public.task (
    run_uid uuid NOT NULL,
    id text NOT NULL,
    "position" bigint NOT NULL,
    parent_id text,
    key text NOT NULL,
    display_name text DEFAULT ''::text NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'PENDING'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    inputs jsonb DEFAULT '{}'::jsonb NOT NULL,
    outputs jsonb DEFAULT '{}'::jsonb NOT NULL,
    cache_key text,
    cached_run_uid uuid,
    cached_task_id text,
    attempt_count integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone,
    create_time timestamp with time zone DEFAULT now() NOT NULL,
    start_time timestamp with time zone,
    end_time timestamp with time zone,
    result_key text,
    cache_note text DEFAULT ''::text NOT NULL,
    queue_time timestamp with time zone,
    step_key text,
    CONSTRAINT task_end_time_check CHECK (((end_time IS NOT NULL) = (state = ANY (ARRAY['SUCCEEDED'::text, 'FAILED'::text, 'SKIPPED'::text, 'CANCELLED'::text])))),
    CONSTRAINT task_kind_check CHECK ((kind = ANY (ARRAY['STEP'::text, 'DAG'::text, 'LOOP'::text, 'ITERATION'::text, 'IMPORTER'::text]))),
    CONSTRAINT task_state_check CHECK ((state = ANY (ARRAY['PENDING'::text, 'QUEUED'::text, 'RUNNING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'SKIPPED'::text, 'CANCELLED'::text])))
)
WITH (fillfactor='70');

COMMENT ON COLUMN public.task."position" IS 'number of the event that made it: the order in which tasks came to be';

COMMENT ON COLUMN public.task.step_key IS 'of a cached step: which one it is of which pipeline, whatever it is given';

ALTER TABLE ONLY public.artifact
    ADD CONSTRAINT artifact_output_key UNIQUE (run_uid, task_id, output, index);

ALTER TABLE ONLY public.artifact
    ADD CONSTRAINT artifact_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (run_uid, task_id, number);

ALTER TABLE ONLY public.backfill
    ADD CONSTRAINT backfill_id_key UNIQUE (job_uid, id);

ALTER TABLE ONLY public.backfill
    ADD CONSTRAINT backfill_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.backfill
    ADD CONSTRAINT backfill_request_id_key UNIQUE (job_uid, request_id);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (run_uid, sequence);

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_id_key UNIQUE (namespace, id);

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_request_id_key UNIQUE (namespace, request_id);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_id_key UNIQUE (namespace, id);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_request_id_key UNIQUE (namespace, request_id);

ALTER TABLE ONLY public.job_slot
    ADD CONSTRAINT job_slot_pkey PRIMARY KEY (job_uid, slot_time, covers_many);

ALTER TABLE ONLY public.job_slot
    ADD CONSTRAINT job_slot_request_id_key UNIQUE (job_uid, request_id);

ALTER TABLE ONLY public.namespace
    ADD CONSTRAINT namespace_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.namespace
    ADD CONSTRAINT namespace_uid_key UNIQUE (uid);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_id_key UNIQUE (namespace, id);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_kfp_name_key UNIQUE (namespace, kfp_name);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_request_id_key UNIQUE (namespace, request_id);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_alias_key UNIQUE (pipeline_uid, alias);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_kfp_name_key UNIQUE (pipeline_uid, kfp_name);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_number_key UNIQUE (pipeline_uid, number);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_request_id_key UNIQUE (namespace, request_id);

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_id_key UNIQUE (namespace, id);

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_request_id_key UNIQUE (namespace, request_id);

ALTER TABLE ONLY public.run_tally
    ADD CONSTRAINT run_tally_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_pkey PRIMARY KEY (server_id);

ALTER TABLE ONLY public.shared_secret
    ADD CONSTRAINT shared_secret_pkey PRIMARY KEY (purpose);

ALTER TABLE ONLY public.spec
    ADD CONSTRAINT spec_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (run_uid, id);

CREATE INDEX artifact_create_time_idx ON public.artifact USING btree (namespace, create_time DESC, uid DESC);

CREATE INDEX backfill_create_time_idx ON public.backfill USING btree (job_uid, create_time, uid);

CREATE INDEX backfill_open_idx ON public.backfill USING btree (job_uid, create_time) WHERE (finish_time IS NULL);

CREATE INDEX event_moves_idx ON public.event USING btree (run_uid, sequence) WHERE (subject = 'RUN'::text);

CREATE INDEX event_transaction_idx ON public.event USING btree (namespace, transaction_id, run_uid, sequence) WHERE (subject = 'RUN'::text);

CREATE INDEX experiment_create_time_idx ON public.experiment USING btree (namespace, create_time, uid);

CREATE INDEX experiment_display_name_idx ON public.experiment USING btree (namespace, display_name, uid);

CREATE INDEX experiment_labels_idx ON public.experiment USING gin (labels jsonb_path_ops);

CREATE INDEX experiment_update_time_idx ON public.experiment USING btree (namespace, update_time, uid);

CREATE INDEX job_attention_idx ON public.job USING btree (attention_time) WHERE (attention_time IS NOT NULL);

CREATE INDEX job_create_time_idx ON public.job USING btree (namespace, create_time, uid);

CREATE INDEX job_display_name_idx ON public.job USING btree (namespace, display_name, uid);

CREATE INDEX job_experiment_idx ON public.job USING btree (experiment_uid);

CREATE INDEX job_labels_idx ON public.job USING gin (labels jsonb_path_ops);

CREATE INDEX job_next_slot_idx ON public.job USING btree (namespace, COALESCE(next_slot_time, '9999-12-31 00:00:00+00'::timestamp with time zone), uid);

CREATE INDEX job_slot_backfill_idx ON public.job_slot USING btree (backfill_uid, state, slot_time) WHERE (backfill_uid IS NOT NULL);

CREATE INDEX job_slot_sequence_idx ON public.job_slot USING btree (job_uid, sequence);

CREATE INDEX job_slot_waiting_idx ON public.job_slot USING btree (job_uid, kind, slot_time) WHERE (state = 'WAITING'::text);

CREATE INDEX job_spec_idx ON public.job USING btree (spec_digest) WHERE (spec_digest IS NOT NULL);

CREATE INDEX job_update_time_idx ON public.job USING btree (namespace, update_time, uid);

CREATE INDEX namespace_create_time_idx ON public.namespace USING btree (create_time DESC, uid DESC);

CREATE INDEX pipeline_create_time_idx ON public.pipeline USING btree (namespace, create_time, uid);

CREATE INDEX pipeline_display_name_idx ON public.pipeline USING btree (namespace, display_name, uid);

CREATE INDEX pipeline_kfp_name_idx ON public.pipeline USING btree (namespace, COALESCE(kfp_name, id), uid);

CREATE INDEX pipeline_labels_idx ON public.pipeline USING gin (labels jsonb_path_ops);

CREATE INDEX pipeline_update_time_idx ON public.pipeline USING btree (namespace, update_time, uid);

CREATE INDEX pipeline_version_spec_idx ON public.pipeline_version USING btree (spec_digest);

CREATE INDEX run_archived_idx ON public.run USING btree (namespace, create_time, uid) WHERE (archive_time IS NOT NULL);

CREATE INDEX run_backfill_idx ON public.run USING btree (backfill_uid) WHERE (backfill_uid IS NOT NULL);

CREATE INDEX run_create_time_idx ON public.run USING btree (namespace, create_time, uid);

CREATE INDEX run_description_idx ON public.run USING btree (namespace, "left"(description, 200), create_time, uid);

CREATE INDEX run_display_name_idx ON public.run USING btree (namespace, display_name, uid);

CREATE INDEX run_end_time_idx ON public.run USING btree (namespace, COALESCE(end_time, '9999-12-31 00:00:00+00'::timestamp with time zone), uid);

CREATE INDEX run_experiment_idx ON public.run USING btree (experiment_uid, create_time, uid);

CREATE INDEX run_free_idx ON public.run USING btree (create_time) WHERE ((owner IS NULL) AND ((end_time IS NULL) OR (retry_request_time IS NOT NULL) OR (delete_request_time IS NOT NULL)));

CREATE INDEX run_job_idx ON public.run USING btree (namespace, job_id, create_time, uid) WHERE (job_id IS NOT NULL);

CREATE INDEX run_job_open_idx ON public.run USING btree (job_uid, slot_time) WHERE ((job_uid IS NOT NULL) AND (end_time IS NULL));

CREATE INDEX run_job_unseen_idx ON public.run USING btree (job_uid) WHERE job_unseen;

CREATE INDEX run_labels_idx ON public.run USING gin (labels jsonb_path_ops);

CREATE INDEX run_owner_idx ON public.run USING btree (owner) WHERE (owner IS NOT NULL);

CREATE INDEX run_pipeline_idx ON public.run USING btree (namespace, pipeline_id, create_time, uid) WHERE (pipeline_id IS NOT NULL);

CREATE INDEX run_request_idx ON public.run USING btree (owner) WHERE ((cancel_request_time IS NOT NULL) OR (retry_request_time IS NOT NULL) OR (delete_request_time IS NOT NULL) OR (pause_request_time IS NOT NULL) OR (limits_request_time IS NOT NULL));

CREATE INDEX run_scheduled_time_idx ON public.run USING btree (namespace, COALESCE(slot_time, create_time), uid);

CREATE UNIQUE INDEX run_slot_idx ON public.run USING btree (job_uid, slot_time) WHERE ((job_uid IS NOT NULL) AND (origin = ''::text));

CREATE INDEX run_spec_idx ON public.run USING btree (spec_digest);

CREATE INDEX run_start_time_idx ON public.run USING btree (namespace, COALESCE(start_time, '9999-12-31 00:00:00+00'::timestamp with time zone), uid);

CREATE INDEX run_state_idx ON public.run USING btree (namespace, state, create_time, uid);

CREATE INDEX run_tally_namespace_idx ON public.run_tally USING btree (namespace, experiment_uid, archived) INCLUDE (count);

CREATE INDEX run_update_time_idx ON public.run USING btree (namespace, update_time, uid);

CREATE INDEX task_cache_key_idx ON public.task USING btree (cache_key) WHERE ((cache_key IS NOT NULL) AND (cached_run_uid IS NULL));

CREATE INDEX task_parent_idx ON public.task USING btree (run_uid, parent_id, "position") WHERE (parent_id IS NOT NULL);

CREATE UNIQUE INDEX task_position_idx ON public.task USING btree (run_uid, "position") WHERE ("position" > 0);

CREATE INDEX task_step_key_idx ON public.task USING btree (step_key, end_time DESC) WHERE ((step_key IS NOT NULL) AND (state = 'SUCCEEDED'::text) AND (cached_run_uid IS NULL));

CREATE TRIGGER run_delete_events AFTER DELETE ON public.run FOR EACH ROW EXECUTE FUNCTION public.delete_events_of_run();

CREATE TRIGGER run_tally_changed AFTER UPDATE OF namespace, experiment_uid, archive_time, delete_request_time ON public.run FOR EACH ROW WHEN (((old.namespace <> new.namespace) OR (old.experiment_uid <> new.experiment_uid) OR ((old.archive_time IS NULL) <> (new.archive_time IS NULL)) OR ((old.delete_request_time IS NULL) <> (new.delete_request_time IS NULL)))) EXECUTE FUNCTION public.tally_changed_run();

CREATE TRIGGER run_tally_deleted AFTER DELETE ON public.run REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.tally_deleted_runs();

CREATE TRIGGER run_tally_fold AFTER INSERT ON public.run_tally FOR EACH ROW WHEN ((((new.id % (256)::bigint) = 0) AND (pg_trigger_depth() < 2))) EXECUTE FUNCTION public.fold_run_tally();

CREATE TRIGGER run_tally_made AFTER INSERT ON public.run REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.tally_made_runs();

CREATE TRIGGER run_tally_truncated AFTER TRUNCATE ON public.run FOR EACH STATEMENT EXECUTE FUNCTION public.forget_run_tally();

ALTER TABLE ONLY public.artifact
    ADD CONSTRAINT artifact_run_fkey FOREIGN KEY (run_uid) REFERENCES public.run(uid) ON DELETE CASCADE;

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_run_fkey FOREIGN KEY (run_uid) REFERENCES public.run(uid) ON DELETE CASCADE;

ALTER TABLE ONLY public.backfill
    ADD CONSTRAINT backfill_job_fkey FOREIGN KEY (job_uid) REFERENCES public.job(uid) ON DELETE CASCADE;

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_namespace_fkey FOREIGN KEY (namespace) REFERENCES public.namespace(name);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_experiment_fkey FOREIGN KEY (experiment_uid) REFERENCES public.experiment(uid);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_namespace_fkey FOREIGN KEY (namespace) REFERENCES public.namespace(name);

ALTER TABLE ONLY public.job_slot
    ADD CONSTRAINT job_slot_backfill_fkey FOREIGN KEY (backfill_uid) REFERENCES public.backfill(uid);

ALTER TABLE ONLY public.job_slot
    ADD CONSTRAINT job_slot_job_fkey FOREIGN KEY (job_uid) REFERENCES public.job(uid) ON DELETE CASCADE;

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_spec_fkey FOREIGN KEY (spec_digest) REFERENCES public.spec(digest);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_namespace_fkey FOREIGN KEY (namespace) REFERENCES public.namespace(name);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_pipeline_fkey FOREIGN KEY (pipeline_uid) REFERENCES public.pipeline(uid);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_spec_fkey FOREIGN KEY (spec_digest) REFERENCES public.spec(digest);

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_experiment_fkey FOREIGN KEY (experiment_uid) REFERENCES public.experiment(uid);

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_namespace_fkey FOREIGN KEY (namespace) REFERENCES public.namespace(name);

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_owner_fkey FOREIGN KEY (owner) REFERENCES public.server(server_id) ON DELETE SET NULL;

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_spec_fkey FOREIGN KEY (spec_digest) REFERENCES public.spec(digest);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_run_fkey FOREIGN KEY (run_uid) REFERENCES public.run(uid) ON DELETE CASCADE;
