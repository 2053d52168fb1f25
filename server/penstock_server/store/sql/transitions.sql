-- name: commit
-- All that one batch changes, of many runs, in one statement. Runs that are no longer this server's, or are elsewhere
-- than the batch says, are left out whole. A row found in another state than the batch says fails the statement, by a
-- cast that cannot succeed, so that nothing of it is written: one round trip is a transaction of its own. The owner is
-- compared in a way that no index serves, so that a plan made early does not read all runs of the server.
WITH batch AS (
    SELECT *
    FROM jsonb_to_recordset(%(runs)s) AS b (
        uid uuid, fence bigint, sequence bigint, changes bigint, from_state text, to_state text, reason text,
        message text, failed_task_id text, outputs jsonb, started boolean, reset boolean, paused boolean, priority integer,
        max_parallel_tasks integer
    )
), held AS MATERIALIZED (
    SELECT run.uid, run.namespace, run.event_sequence, run.state
    FROM run
    JOIN batch ON batch.uid = run.uid
    WHERE run.owner IS NOT DISTINCT FROM %(server_id)s AND run.fence = batch.fence AND run.event_sequence = batch.sequence
    ORDER BY run.uid
    FOR NO KEY UPDATE OF run
), moved_run AS (
    UPDATE run
    SET event_sequence = run.event_sequence + batch.changes,
        update_time = CASE WHEN batch.to_state IS NULL THEN run.update_time ELSE now() END,
        state = coalesce(batch.to_state, run.state),
        reason = coalesce(batch.reason, run.reason),
        message = coalesce(batch.message, run.message),
        failed_task_id = CASE WHEN batch.to_state IS NULL THEN run.failed_task_id ELSE batch.failed_task_id END,
        outputs = coalesce(batch.outputs, run.outputs),
        start_time = CASE
            WHEN batch.reset AND batch.started THEN now()
            WHEN batch.reset THEN NULL
            WHEN batch.started THEN coalesce(run.start_time, now())
            ELSE run.start_time
        END,
        end_time = CASE
            WHEN batch.to_state IS NULL THEN run.end_time
            WHEN batch.to_state IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN now()
        END,
        owner = CASE WHEN batch.to_state IN ('SUCCEEDED', 'FAILED', 'CANCELLED') THEN NULL ELSE run.owner END,
        cancel_request_time = CASE
            WHEN batch.to_state IN ('CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED') THEN NULL
            ELSE run.cancel_request_time
        END,
        cancel_exit_tasks = run.cancel_exit_tasks
            AND coalesce(batch.to_state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED'), true),
        pause_time = CASE
            WHEN batch.to_state IN ('CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED') THEN NULL
            ELSE run.pause_time
        END,
        pause_request_time = CASE
            WHEN batch.to_state IN ('CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED') THEN NULL
            WHEN batch.paused = (run.pause_time IS NOT NULL) THEN NULL
            ELSE run.pause_request_time
        END,
        limits_request_time = CASE
            WHEN batch.priority = run.priority AND batch.max_parallel_tasks IS NOT DISTINCT FROM run.max_parallel_tasks
                THEN NULL
            ELSE run.limits_request_time
        END,
        retry_request_time = CASE WHEN batch.reset THEN NULL ELSE run.retry_request_time END,
        job_unseen = run.job_unseen OR (
            run.job_uid IS NOT NULL AND coalesce(batch.to_state IN ('SUCCEEDED', 'FAILED', 'CANCELLED'), false)
        )
    FROM batch
    JOIN held ON held.uid = batch.uid
    WHERE run.uid = batch.uid AND (batch.from_state IS NULL OR run.state = batch.from_state)
    RETURNING run.uid
), new_task AS (
    INSERT INTO task (
        run_uid, id, position, parent_id, key, display_name, kind, state, reason, message, inputs, outputs, cache_key,
        cached_run_uid, cached_task_id, attempt_count, not_before, result_key, cache_note, step_key, queue_time,
        start_time, end_time
    )
    SELECT t.run_uid, t.id, t.position, t.parent_id, t.key, t.display_name, t.kind, t.state, t.reason, t.message,
        coalesce(t.inputs, '{}'), coalesce(t.outputs, '{}'), t.cache_key, t.cached_run_uid, t.cached_task_id,
        t.attempts, now() + make_interval(secs => t.delay_s), t.result_key, coalesce(t.cache_note, ''),
        t.step_key, CASE WHEN t.queued THEN now() END, CASE WHEN t.started THEN now() END, CASE WHEN t.ended THEN now() END
    FROM jsonb_to_recordset(%(new_tasks)s) AS t (
        run_uid uuid, id text, position bigint, parent_id text, key text, display_name text, kind text, state text,
        reason text, message text, inputs jsonb, outputs jsonb, cache_key text, cached_run_uid uuid,
        cached_task_id text, attempts integer, delay_s double precision, result_key text, cache_note text,
        step_key text, queued boolean, started boolean, ended boolean
    )
    JOIN held ON held.uid = t.run_uid
), task_batch AS (
    SELECT t.*
    FROM jsonb_to_recordset(%(tasks)s) AS t (
        run_uid uuid, id text, expected text, state text, reason text, message text, inputs jsonb, outputs jsonb,
        cache_key text, cached_run_uid uuid, cached_task_id text, attempts integer, delay_s double precision,
        result_key text, cache_note text, step_key text, queued boolean, started boolean, ended boolean, reset boolean
    )
    JOIN held ON held.uid = t.run_uid
), moved_task AS (
    UPDATE task
    SET state = t.state,
        reason = t.reason,
        message = t.message,
        inputs = coalesce(t.inputs, CASE WHEN t.reset THEN '{}' ELSE task.inputs END),
        outputs = coalesce(t.outputs, CASE WHEN t.reset THEN '{}' ELSE task.outputs END),
        cache_key = coalesce(t.cache_key, CASE WHEN t.reset THEN NULL ELSE task.cache_key END),
        cached_run_uid = t.cached_run_uid,
        cached_task_id = t.cached_task_id,
        attempt_count = task.attempt_count + t.attempts,
        not_before = now() + make_interval(secs => t.delay_s),
        result_key = coalesce(t.result_key, CASE WHEN t.reset THEN NULL ELSE task.result_key END),
        cache_note = coalesce(t.cache_note, CASE WHEN t.reset THEN '' ELSE task.cache_note END),
        step_key = coalesce(t.step_key, CASE WHEN t.reset THEN NULL ELSE task.step_key END),
        queue_time = CASE WHEN t.queued THEN now() WHEN t.reset THEN NULL ELSE task.queue_time END,
        start_time = CASE
            WHEN t.reset AND t.started THEN now()
            WHEN t.reset THEN NULL
            WHEN t.started THEN coalesce(task.start_time, now())
            ELSE task.start_time
        END,
        end_time = CASE WHEN t.ended THEN now() END
    FROM task_batch AS t
    WHERE task.run_uid = t.run_uid AND task.id = t.id AND task.state = t.expected
    RETURNING task.id
), new_attempt AS (
    INSERT INTO attempt (
        run_uid, task_id, number, launcher, state, reason, message, exit_code, log_tail, host, handle,
        failure_class, start_time, end_time
    )
    SELECT a.run_uid, a.task_id, a.number, a.launcher, a.state, a.reason, a.message, a.exit_code, a.log_tail, a.host,
        a.handle, a.failure_class, CASE WHEN a.started THEN now() END, CASE WHEN a.ended THEN now() END
    FROM jsonb_to_recordset(%(new_attempts)s) AS a (
        run_uid uuid, task_id text, number integer, launcher text, state text, reason text, message text,
        exit_code integer, log_tail text, host text, handle text, failure_class text, started boolean, ended boolean
    )
    JOIN held ON held.uid = a.run_uid
), attempt_batch AS (
    SELECT a.*
    FROM jsonb_to_recordset(%(attempts)s) AS a (
        run_uid uuid, task_id text, number integer, expected text, state text, reason text, message text,
        exit_code integer, log_tail text, host text, handle text, failure_class text, started boolean, ended boolean
    )
    JOIN held ON held.uid = a.run_uid
), moved_attempt AS (
    UPDATE attempt
    SET state = a.state,
        reason = a.reason,
        message = a.message,
        exit_code = a.exit_code,
        log_tail = a.log_tail,
        host = CASE WHEN a.host = '' THEN attempt.host ELSE a.host END,
        handle = CASE WHEN a.handle = '' THEN attempt.handle ELSE a.handle END,
        failure_class = a.failure_class,
        start_time = CASE WHEN a.started THEN coalesce(attempt.start_time, now()) ELSE attempt.start_time END,
        end_time = CASE WHEN a.ended THEN now() END
    FROM attempt_batch AS a
    WHERE attempt.run_uid = a.run_uid AND attempt.task_id = a.task_id AND attempt.number = a.number
        AND attempt.state = a.expected
    RETURNING attempt.number
), new_artifact AS (
    INSERT INTO artifact (
        uid, namespace, run_uid, task_id, output, index, name, type, schema_version, uri, digest, size_bytes, metadata
    )
    SELECT r.uid, held.namespace, r.run_uid, r.task_id, r.output, r.index, r.name, r.type, r.schema_version, r.uri,
        r.digest, r.size_bytes, r.metadata
    FROM jsonb_to_recordset(%(artifacts)s) AS r (
        uid uuid, run_uid uuid, task_id text, output text, index integer, name text, type text, schema_version text,
        uri text, digest text, size_bytes bigint, metadata jsonb
    )
    JOIN held ON held.uid = r.run_uid
), new_event AS (
    INSERT INTO event (
        run_uid, sequence, namespace, subject, task_id, attempt, from_state, to_state, reason, message
    )
    SELECT e.run_uid, e.sequence, held.namespace, e.subject, e.task_id, e.attempt, e.from_state, e.to_state, e.reason,
        e.message
    FROM jsonb_to_recordset(%(events)s) AS e (
        run_uid uuid, sequence bigint, subject text, task_id text, attempt integer, from_state text, to_state text,
        reason text, message text
    )
    JOIN held ON held.uid = e.run_uid
), told AS (
    SELECT held.uid, pg_notify('penstock_event', held.uid::text) FROM held
), missed AS (
    SELECT (SELECT count(*) FROM held) - (SELECT count(*) FROM moved_run) AS runs,
        (SELECT count(*) FROM task_batch) - (SELECT count(*) FROM moved_task) AS tasks,
        (SELECT count(*) FROM attempt_batch) - (SELECT count(*) FROM moved_attempt) AS attempts
)
SELECT ARRAY(SELECT uid FROM told),
    CASE WHEN runs + tasks + attempts > 0
        THEN format('elsewhere than expected: %%s runs, %%s tasks, %%s attempts', runs, tasks, attempts)::integer
    END
FROM missed;

-- name: clear_artifacts
-- What tasks that begin again have recorded, so that they can record anew; their runs are held until the batch is
-- written. Only for batches that reset tasks which had succeeded: few, so that all others are one statement.
WITH batch AS (
    SELECT * FROM jsonb_to_recordset(%(runs)s) AS b (uid uuid, fence bigint, sequence bigint)
), held AS MATERIALIZED (
    SELECT run.uid
    FROM run
    JOIN batch ON batch.uid = run.uid
    WHERE run.owner IS NOT DISTINCT FROM %(server_id)s AND run.fence = batch.fence AND run.event_sequence = batch.sequence
    ORDER BY run.uid
    FOR NO KEY UPDATE OF run
), begun AS (
    SELECT t.run_uid, t.id
    FROM jsonb_to_recordset(%(tasks)s) AS t (run_uid uuid, id text, reset boolean)
    JOIN held ON held.uid = t.run_uid
    WHERE t.reset
)
DELETE FROM artifact
USING begun
WHERE artifact.run_uid = begun.run_uid AND artifact.task_id = begun.id;
