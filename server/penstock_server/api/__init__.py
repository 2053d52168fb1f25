"""Our own API: a servicer for each service of `penstock.v1`, and the gRPC server in front of them.

It reads and edits through the store, and asks the engine for whatever moves a run. It does not know SQL,
launchers or HTTP.
"""
