"""What is left of KFP's v1beta1 API, generated from `proto/kubeflow/pipelines/backend/api/v1beta1`."""
