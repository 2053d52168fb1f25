-- KFP's clients list runs in orders, and archived ones, that no index answered.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- ListRuns of KFP by scheduled_at.
CREATE INDEX run_scheduled_time_idx ON run (namespace, coalesce(slot_time, create_time), uid);
-- ListRuns of KFP by description, of which the beginning counts: an index holds no long texts.
CREATE INDEX run_description_idx ON run (namespace, left(description, 200), create_time, uid);
-- ListRuns of KFP for what is archived; it costs the other runs nothing.
CREATE INDEX run_archived_idx ON run (namespace, create_time, uid) WHERE archive_time IS NOT NULL;
