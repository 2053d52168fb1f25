"""The messages and stubs of KFP's v2beta1 API, generated from `proto/kubeflow/pipelines/backend/api/v2beta1`."""
