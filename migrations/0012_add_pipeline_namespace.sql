-- Clients of KFP run pipelines that all users share in namespaces of their own.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE run ADD COLUMN pipeline_namespace text;
COMMENT ON COLUMN run.pipeline_namespace IS 'where its pipeline is; null: in its own namespace';

ALTER TABLE job ADD COLUMN pipeline_namespace text;
COMMENT ON COLUMN job.pipeline_namespace IS 'where its pipeline is; null: in its own namespace';
