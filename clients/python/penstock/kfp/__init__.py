"""The API of Kubeflow Pipelines (KFP) as messages and stubs, for servers that its clients talk to.

A client of Penstock needs none of it.
"""
