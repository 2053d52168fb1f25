"""Stories that KFP's published clients act out against a server; run by the Python of an environment that has them.

Nothing here is imported by tests. A story is a function that calls a client and checks what it is told. `methods.py`
gathers those of `kfp.Client`, `operations.py` those of `kfp_server_api`; `commands.py` runs commands of `kfp`.
"""
