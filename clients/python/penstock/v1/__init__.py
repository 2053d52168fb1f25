"""The messages and stubs of the `penstock.v1` API, generated from `proto/penstock/v1`."""
