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
    archive_time timestamp with time zone
);

COMMENT ON COLUMN public.pipeline.last_number IS 'of the newest version ever made; numbers are not used again';

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
    CONSTRAINT pipeline_version_cache_policy_check CHECK ((cache_policy = ANY (ARRAY['DEFAULT'::text, 'DISABLED'::text, 'REFRESH'::text])))
);

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
    CONSTRAINT run_cache_policy_check CHECK ((cache_policy = ANY (ARRAY['DEFAULT'::text, 'DISABLED'::text, 'REFRESH'::text]))),
    CONSTRAINT run_end_time_check CHECK (((end_time IS NOT NULL) = (state = ANY (ARRAY['SUCCEEDED'::text, 'FAILED'::text, 'CANCELLED'::text])))),
    CONSTRAINT run_max_parallel_tasks_check CHECK ((max_parallel_tasks >= 1)),
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

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (run_uid, sequence);

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_id_key UNIQUE (namespace, id);

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_request_id_key UNIQUE (namespace, request_id);

ALTER TABLE ONLY public.namespace
    ADD CONSTRAINT namespace_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.namespace
    ADD CONSTRAINT namespace_uid_key UNIQUE (uid);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_id_key UNIQUE (namespace, id);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_pkey PRIMARY KEY (uid);

ALTER TABLE ONLY public.pipeline
    ADD CONSTRAINT pipeline_request_id_key UNIQUE (namespace, request_id);

ALTER TABLE ONLY public.pipeline_version
    ADD CONSTRAINT pipeline_version_alias_key UNIQUE (pipeline_uid, alias);

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

CREATE INDEX event_transaction_idx ON public.event USING btree (namespace, transaction_id, run_uid, sequence) WHERE (subject = 'RUN'::text);

CREATE INDEX experiment_create_time_idx ON public.experiment USING btree (namespace, create_time, uid);

CREATE INDEX experiment_display_name_idx ON public.experiment USING btree (namespace, display_name, uid);

CREATE INDEX experiment_labels_idx ON public.experiment USING gin (labels jsonb_path_ops);

CREATE INDEX experiment_update_time_idx ON public.experiment USING btree (namespace, update_time, uid);

CREATE INDEX namespace_create_time_idx ON public.namespace USING btree (create_time DESC, uid DESC);

CREATE INDEX pipeline_create_time_idx ON public.pipeline USING btree (namespace, create_time, uid);

CREATE INDEX pipeline_display_name_idx ON public.pipeline USING btree (namespace, display_name, uid);

CREATE INDEX pipeline_labels_idx ON public.pipeline USING gin (labels jsonb_path_ops);

CREATE INDEX pipeline_update_time_idx ON public.pipeline USING btree (namespace, update_time, uid);

CREATE INDEX pipeline_version_spec_idx ON public.pipeline_version USING btree (spec_digest);

CREATE INDEX run_create_time_idx ON public.run USING btree (namespace, create_time, uid);

CREATE INDEX run_display_name_idx ON public.run USING btree (namespace, display_name, uid);

CREATE INDEX run_end_time_idx ON public.run USING btree (namespace, COALESCE(end_time, '9999-12-31 00:00:00+00'::timestamp with time zone), uid);

CREATE INDEX run_experiment_idx ON public.run USING btree (experiment_uid, create_time, uid);

CREATE INDEX run_free_idx ON public.run USING btree (create_time) WHERE ((owner IS NULL) AND ((end_time IS NULL) OR (retry_request_time IS NOT NULL) OR (delete_request_time IS NOT NULL)));

CREATE INDEX run_labels_idx ON public.run USING gin (labels jsonb_path_ops);

CREATE INDEX run_owner_idx ON public.run USING btree (owner) WHERE (owner IS NOT NULL);

CREATE INDEX run_pipeline_idx ON public.run USING btree (namespace, pipeline_id, create_time, uid) WHERE (pipeline_id IS NOT NULL);

CREATE INDEX run_request_idx ON public.run USING btree (owner) WHERE ((cancel_request_time IS NOT NULL) OR (retry_request_time IS NOT NULL) OR (delete_request_time IS NOT NULL) OR (pause_request_time IS NOT NULL) OR (limits_request_time IS NOT NULL));

CREATE INDEX run_spec_idx ON public.run USING btree (spec_digest);

CREATE INDEX run_start_time_idx ON public.run USING btree (namespace, COALESCE(start_time, '9999-12-31 00:00:00+00'::timestamp with time zone), uid);

CREATE INDEX run_state_idx ON public.run USING btree (namespace, state, create_time, uid);

CREATE INDEX run_update_time_idx ON public.run USING btree (namespace, update_time, uid);

CREATE INDEX task_cache_key_idx ON public.task USING btree (cache_key) WHERE ((cache_key IS NOT NULL) AND (cached_run_uid IS NULL));

CREATE INDEX task_parent_idx ON public.task USING btree (run_uid, parent_id, "position") WHERE (parent_id IS NOT NULL);

CREATE UNIQUE INDEX task_position_idx ON public.task USING btree (run_uid, "position") WHERE ("position" > 0);

CREATE INDEX task_step_key_idx ON public.task USING btree (step_key, end_time DESC) WHERE ((step_key IS NOT NULL) AND (state = 'SUCCEEDED'::text) AND (cached_run_uid IS NULL));

CREATE TRIGGER run_delete_events AFTER DELETE ON public.run FOR EACH ROW EXECUTE FUNCTION public.delete_events_of_run();

ALTER TABLE ONLY public.artifact
    ADD CONSTRAINT artifact_run_fkey FOREIGN KEY (run_uid) REFERENCES public.run(uid) ON DELETE CASCADE;

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_run_fkey FOREIGN KEY (run_uid) REFERENCES public.run(uid) ON DELETE CASCADE;

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT experiment_namespace_fkey FOREIGN KEY (namespace) REFERENCES public.namespace(name);

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
