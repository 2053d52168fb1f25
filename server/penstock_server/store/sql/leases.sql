-- name: register
-- This server is alive, until its lease runs out. Asked again, where the answer was lost, it is the same server.
INSERT INTO server (server_id, expire_time) VALUES (%(server_id)s, now() + make_interval(secs => %(ttl_s)s))
ON CONFLICT (server_id) DO UPDATE SET expire_time = excluded.expire_time;

-- name: heartbeat
-- Renews a lease that has not run out.
UPDATE server
SET expire_time = now() + make_interval(secs => %(ttl_s)s)
WHERE server_id = %(server_id)s AND expire_time > now()
RETURNING server_id;

-- name: release
-- Gives the lease up; its runs have no owner from then on.
DELETE FROM server WHERE server_id = %(server_id)s;

-- name: sweep
-- Rows of servers that ended long ago without giving their lease up.
DELETE FROM server WHERE expire_time < now() - interval '1 day';

-- name: claim
-- Runs with something to do and nobody alive to do it, oldest first; the fence goes up.
WITH free AS (
    SELECT uid, owner
    FROM run
    WHERE owner IS NULL
        AND (end_time IS NULL OR retry_request_time IS NOT NULL OR delete_request_time IS NOT NULL)
    ORDER BY create_time
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
), abandoned AS (
    SELECT run.uid, run.owner
    FROM server
    JOIN run ON run.owner = server.server_id
    WHERE server.expire_time <= now()
    LIMIT %(limit)s
    FOR NO KEY UPDATE OF run SKIP LOCKED
), taken AS (
    SELECT uid, owner FROM free UNION ALL SELECT uid, owner FROM abandoned LIMIT %(limit)s
), claimed AS (
    UPDATE run
    SET owner = %(server_id)s, fence = run.fence + 1
    FROM taken
    WHERE run.uid = taken.uid AND EXISTS (
        SELECT 1 FROM server WHERE server_id = %(server_id)s AND expire_time > now()
    )
    RETURNING run.uid, run.fence, taken.owner AS from_owner, run.create_time,
        run.start_time IS NOT NULL AND run.end_time IS NULL AS is_under_way
)
SELECT uid, fence, from_owner, is_under_way FROM claimed ORDER BY create_time, uid;

-- name: held
-- The runs of a server.
SELECT uid, fence FROM run WHERE owner = %(server_id)s;

-- name: release_run
-- Gives one run up.
UPDATE run SET owner = NULL WHERE uid = %(uid)s AND fence = %(fence)s;

-- name: read_requests
-- What the API has asked of the runs of a server.
SELECT uid, cancel_request_time IS NOT NULL, cancel_message, cancel_exit_tasks,
    CASE WHEN pause_request_time IS NOT NULL THEN pause_time IS NOT NULL END, retry_request_time IS NOT NULL,
    delete_request_time IS NOT NULL, limits_request_time IS NOT NULL, priority, max_parallel_tasks
FROM run
WHERE owner = %(server_id)s
    AND (cancel_request_time IS NOT NULL OR retry_request_time IS NOT NULL OR delete_request_time IS NOT NULL
        OR pause_request_time IS NOT NULL OR limits_request_time IS NOT NULL);
