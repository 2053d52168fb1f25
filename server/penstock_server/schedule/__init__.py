"""When a job fires and what its runs are told of it: cron expressions, intervals, time zones, macros, jitter.

All of it is pure: no database, no clock, no files but the time zone database. `triggers` and `macros` are what
other layers begin with.
"""
