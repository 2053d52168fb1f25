-- name: register
-- This server is alive, until its lease runs out.
INSERT INTO server (server_id, expire_time) VALUES (%(server_id)s, now() + make_interval(secs => %(ttl_s)s));

-- name: heartbeat
-- Renews a lease that has not run out.
UPDATE server
SET expire_time = now() + make_interval(secs => %(ttl_s)s)
WHERE server_id = %(server_id)s AND expire_time > now()
RETURNING server_id;

-- name: release
-- Gives the lease up; runs that named it are free at once.
DELETE FROM server WHERE server_id = %(server_id)s;

-- name: sweep
-- Rows of servers that ended long ago without giving their lease up.
DELETE FROM server WHERE expire_time < now() - interval '1 day';

-- name: claim
-- Runs with something to do and nobody alive to do it, oldest first; the fence goes up.
WITH free AS (
    SELECT uid
    FROM run
    WHERE (end_time IS NULL OR retry_request_time IS NOT NULL OR delete_request_time IS NOT NULL)
        AND (
            owner IS NULL
            OR NOT EXISTS (SELECT 1 FROM server WHERE server.server_id = run.owner AND server.expire_time > now())
        )
    ORDER BY create_time
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE run
SET owner = %(server_id)s, fence = run.fence + 1
FROM free
WHERE run.uid = free.uid AND EXISTS (
    SELECT 1 FROM server WHERE server_id = %(server_id)s AND expire_time > now()
)
RETURNING run.uid, run.fence;

-- name: release_run
-- Gives one run up.
UPDATE run SET owner = NULL WHERE uid = %(uid)s AND fence = %(fence)s;

-- name: read_requests
-- What the API has asked of the runs of a server.
SELECT uid, cancel_request_time IS NOT NULL, cancel_message, retry_request_time IS NOT NULL,
    delete_request_time IS NOT NULL
FROM run
WHERE owner = %(server_id)s
    AND (cancel_request_time IS NOT NULL OR retry_request_time IS NOT NULL OR delete_request_time IS NOT NULL);
