"""HTTP: the rpcs as REST/JSON, Connect and gRPC-Web, through the same handlers as gRPC; probes and metrics.

It knows HTTP, protobuf messages and domain errors. It does not know Postgres, the engine or what a handler
does.
"""
