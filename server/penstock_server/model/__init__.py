"""The words of Penstock as plain values: ids, states and their legal moves, records, errors.

Nothing here knows of databases, gRPC, processes or pipelines' file formats.
"""
