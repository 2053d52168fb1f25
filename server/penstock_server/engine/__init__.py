"""What moves a run from state to state: a pure plan, and a loop that reads, plans, commits and acts.

It knows nothing of protobuf messages, SQL, processes, pods or OpenTelemetry.
"""
