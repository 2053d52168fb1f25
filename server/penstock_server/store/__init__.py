"""Postgres, and the object store of artifacts.

One module and one file of statements an aggregate. The caller opens the transaction; functions take the connection.
Nothing here knows of engines, launchers, or what a move from state to state means.
"""
