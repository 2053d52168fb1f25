-- KFP's lists tell how many there are in all, and counting a hundred thousand runs takes a hundred times as long as a page.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE run_tally (
    id bigint GENERATED ALWAYS AS IDENTITY,
    namespace text NOT NULL,
    experiment_uid uuid NOT NULL,
    archived boolean NOT NULL,
    count bigint NOT NULL,
    CONSTRAINT run_tally_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE run_tally IS
    'runs, but for those to be deleted, counted: the sum of all rows counts. Rows are only added, so that runs made at the
same time do not wait for each other; now and then many are replaced by their sums';
COMMENT ON COLUMN run_tally.count IS 'how many more runs there are; less than 0: fewer';
-- ListRuns of KFP: total_size.
CREATE INDEX run_tally_namespace_idx ON run_tally (namespace, experiment_uid, archived) INCLUDE (count);

-- Adds rows up, the oldest first; rows that somebody else is adding up are left to them. It is the turn of whichever
-- statement adds every 256th row, and takes four times as many as have come since the last one.
CREATE FUNCTION fold_run_tally() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER run_tally_fold AFTER INSERT ON run_tally
    FOR EACH ROW WHEN (new.id % 256 = 0 AND pg_trigger_depth() < 2) EXECUTE FUNCTION fold_run_tally();

CREATE FUNCTION tally_made_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_tally (namespace, experiment_uid, archived, count)
    SELECT namespace, experiment_uid, archive_time IS NOT NULL, count(*)
    FROM made
    WHERE delete_request_time IS NULL
    GROUP BY 1, 2, 3;
    RETURN NULL;
END
$$;
CREATE TRIGGER run_tally_made AFTER INSERT ON run
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION tally_made_runs();

CREATE FUNCTION tally_deleted_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_tally (namespace, experiment_uid, archived, count)
    SELECT namespace, experiment_uid, archive_time IS NOT NULL, -count(*)
    FROM gone
    WHERE delete_request_time IS NULL
    GROUP BY 1, 2, 3;
    RETURN NULL;
END
$$;
CREATE TRIGGER run_tally_deleted AFTER DELETE ON run
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION tally_deleted_runs();

CREATE FUNCTION tally_changed_run() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER run_tally_changed AFTER UPDATE OF namespace, experiment_uid, archive_time, delete_request_time ON run
    FOR EACH ROW WHEN (
        old.namespace <> new.namespace
        OR old.experiment_uid <> new.experiment_uid
        OR (old.archive_time IS NULL) <> (new.archive_time IS NULL)
        OR (old.delete_request_time IS NULL) <> (new.delete_request_time IS NULL)
    )
    EXECUTE FUNCTION tally_changed_run();

CREATE FUNCTION forget_run_tally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM run_tally;
    RETURN NULL;
END
$$;
CREATE TRIGGER run_tally_truncated AFTER TRUNCATE ON run FOR EACH STATEMENT EXECUTE FUNCTION forget_run_tally();

-- The triggers hold off whoever writes runs until this is committed, so that none is missed.
INSERT INTO run_tally (namespace, experiment_uid, archived, count)
SELECT namespace, experiment_uid, archive_time IS NOT NULL, count(*)
FROM run
WHERE delete_request_time IS NULL
GROUP BY 1, 2, 3;
