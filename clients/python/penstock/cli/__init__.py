"""The command line `penstock`.

Importing a command must stay cheap: what talks to a server or draws (grpc, the generated messages, rich) is
imported inside the function that needs it, so that `--help`, completion and wrong use answer at once.
Modules that are only ever imported from there do as usual.
"""
