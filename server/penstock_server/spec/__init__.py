"""What a KFP v2 pipeline means: read, checked, compiled to a graph; inputs, commands and outputs resolved.

All of it is pure: no database, no clock, no files. `document` reads, `compile` checks and builds, `resolve` and `step`
give values to tasks and commands.
"""
