-- What runs consist of: tasks, attempts, artifacts, and the events that tell of every move.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE task (
    run_uid uuid NOT NULL,
    id text NOT NULL,
    position bigint NOT NULL,
    parent_id text,
    key text NOT NULL,
    display_name text NOT NULL DEFAULT '',
    kind text NOT NULL,
    state text NOT NULL DEFAULT 'PENDING',
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    inputs jsonb NOT NULL DEFAULT '{}',
    outputs jsonb NOT NULL DEFAULT '{}',
    cache_key text,
    cached_run_uid uuid,
    cached_task_id text,
    attempt_count integer NOT NULL DEFAULT 0,
    not_before timestamptz,
    create_time timestamptz NOT NULL DEFAULT now(),
    start_time timestamptz,
    end_time timestamptz,
    CONSTRAINT task_pkey PRIMARY KEY (run_uid, id),
    CONSTRAINT task_run_fkey FOREIGN KEY (run_uid) REFERENCES run (uid) ON DELETE CASCADE,
    CONSTRAINT task_kind_check CHECK (kind IN ('STEP', 'DAG', 'LOOP', 'ITERATION', 'IMPORTER')),
    CONSTRAINT task_state_check CHECK (
        state IN ('PENDING', 'QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELLED')
    ),
    CONSTRAINT task_end_time_check CHECK (
        (end_time IS NOT NULL) = (state IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELLED'))
    )
) WITH (fillfactor = 70);
COMMENT ON COLUMN task.position IS 'number of the event that made it: the order in which tasks came to be';
-- ListTasks in the order in which they came to be; of one parent.
-- Both are partial, though of all rows but the roots, for a reason: a plan made while the table is empty takes any index
-- that begins with run_uid for as good as the primary key, and then reads all tasks of a run to move one of them.
CREATE UNIQUE INDEX task_position_idx ON task (run_uid, position) WHERE position > 0;
CREATE INDEX task_parent_idx ON task (run_uid, parent_id, position) WHERE parent_id IS NOT NULL;
-- The results under a cache key. State and time are not in it, so that moves of a task leave all indexes alone.
CREATE INDEX task_cache_key_idx ON task (cache_key) WHERE cache_key IS NOT NULL AND cached_run_uid IS NULL;

CREATE TABLE attempt (
    run_uid uuid NOT NULL,
    task_id text NOT NULL,
    number integer NOT NULL,
    state text NOT NULL DEFAULT 'LAUNCHING',
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    exit_code integer,
    log_tail text NOT NULL DEFAULT '',
    launcher text NOT NULL,
    host text NOT NULL DEFAULT '',
    handle text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT now(),
    start_time timestamptz,
    end_time timestamptz,
    CONSTRAINT attempt_pkey PRIMARY KEY (run_uid, task_id, number),
    CONSTRAINT attempt_run_fkey FOREIGN KEY (run_uid) REFERENCES run (uid) ON DELETE CASCADE,
    CONSTRAINT attempt_state_check CHECK (
        state IN ('LAUNCHING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'LOST', 'CANCELLED')
    ),
    CONSTRAINT attempt_end_time_check CHECK (
        (end_time IS NOT NULL) = (state IN ('SUCCEEDED', 'FAILED', 'LOST', 'CANCELLED'))
    )
) WITH (fillfactor = 70);

CREATE TABLE artifact (
    uid uuid NOT NULL,
    namespace text NOT NULL,
    run_uid uuid NOT NULL,
    task_id text NOT NULL,
    output text NOT NULL,
    index integer NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    schema_version text NOT NULL DEFAULT '',
    uri text NOT NULL,
    digest text NOT NULL DEFAULT '',
    size_bytes bigint NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}',
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT artifact_pkey PRIMARY KEY (uid),
    CONSTRAINT artifact_run_fkey FOREIGN KEY (run_uid) REFERENCES run (uid) ON DELETE CASCADE,
    CONSTRAINT artifact_output_key UNIQUE (run_uid, task_id, output, index)
);
-- The artifacts of a namespace, newest first.
CREATE INDEX artifact_create_time_idx ON artifact (namespace, create_time DESC, uid DESC);

CREATE TABLE event (
    run_uid uuid NOT NULL,
    sequence bigint NOT NULL,
    namespace text NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    time timestamptz NOT NULL DEFAULT now(),
    subject text NOT NULL,
    task_id text,
    attempt integer,
    from_state text,
    to_state text,
    reason text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    CONSTRAINT event_pkey PRIMARY KEY (run_uid, sequence),
    CONSTRAINT event_subject_check CHECK (subject IN ('RUN', 'TASK', 'ATTEMPT', 'NOTICE'))
);
-- WatchRuns: the moves of runs of a namespace in the order of transactions.
CREATE INDEX event_transaction_idx ON event (namespace, transaction_id, run_uid, sequence) WHERE subject = 'RUN';

-- Both statements that write events lock or make the run's row, so that a foreign key would look up once more, event by
-- event, what they hold. Its other half, that events go with their run, is done here.
CREATE FUNCTION delete_events_of_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM event WHERE run_uid = old.uid;
    RETURN NULL;
END
$$;
CREATE TRIGGER run_delete_events AFTER DELETE ON run FOR EACH ROW EXECUTE FUNCTION delete_events_of_run();
