-- name: insert
-- A spec, once per digest.
INSERT INTO spec (digest, document) VALUES (%(digest)s, %(document)s) ON CONFLICT (digest) DO NOTHING;

-- name: get
-- The canonical document.
SELECT document FROM spec WHERE digest = %(digest)s;
