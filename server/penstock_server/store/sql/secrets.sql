-- name: ensure
-- A secret is drawn by the first server that asks; all others read that one.
INSERT INTO shared_secret (purpose, value) VALUES (%(purpose)s, %(value)s) ON CONFLICT (purpose) DO NOTHING;

-- name: get
-- The secret that all servers of the database share.
SELECT value FROM shared_secret WHERE purpose = %(purpose)s;
