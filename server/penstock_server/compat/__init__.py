"""The KFP v2beta1 API over the same engine and store as `api`; it has no servicers yet."""
