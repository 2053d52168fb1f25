-- KFP's clients name pipelines and versions as they like, where ids and aliases have a form of their own.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE pipeline ADD COLUMN kfp_name text;
COMMENT ON COLUMN pipeline.kfp_name IS 'its name for clients of KFP where that cannot be the id; null: the id is the name';
ALTER TABLE pipeline ADD CONSTRAINT pipeline_kfp_name_key UNIQUE (namespace, kfp_name);
-- ListPipelines of KFP by name.
CREATE INDEX pipeline_kfp_name_idx ON pipeline (namespace, coalesce(kfp_name, id), uid);

ALTER TABLE pipeline_version ADD COLUMN kfp_name text;
COMMENT ON COLUMN pipeline_version.kfp_name IS
    'its name for clients of KFP where that cannot be the alias; null: the alias, or the number without one';
ALTER TABLE pipeline_version ADD COLUMN code_source_url text NOT NULL DEFAULT '';
COMMENT ON COLUMN pipeline_version.code_source_url IS 'where its source code is; a note that clients of KFP leave';
ALTER TABLE pipeline_version ADD CONSTRAINT pipeline_version_kfp_name_key UNIQUE (pipeline_uid, kfp_name);
