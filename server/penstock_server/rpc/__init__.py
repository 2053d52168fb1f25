"""Rpcs without a transport: methods as values, and what every call goes through.

It knows protobuf messages and domain errors. It does not know gRPC, HTTP, Postgres or what a handler does.
"""
