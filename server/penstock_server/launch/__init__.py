"""Execution of attempts: the `Launcher` protocol, what implements it, and wrappers around it.

Nothing here knows of runs, DAGs or Postgres.
"""
