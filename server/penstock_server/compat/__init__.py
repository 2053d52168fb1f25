"""KFP's API, on the engine and the store that `api` uses: what is made on one side is seen on the other.

    services.py     puts the services together, each with KFP's dialect; `main` wraps and serves them as it does ours
    dialect.py      JSON, errors and unknown paths over REST as KFP has them
    spaces.py       in which namespace a call works: `default` for a single user, or the one asked for
    lists.py        a page of any list: fields.py (what a list has), filters.py, orders.py, tokens, `total_size`
    times.py        timestamps
    refusals.py     errors that name a field
    runs.py         runs: made, read, listed; run_actions.py ends and retries them, run_files.py has logs and artifacts
    run_reads.py    messages of runs, with run_histories.py: their tasks and moves, kept of those that have ended
    recurring_runs.py   jobs; triggers.py and literals.py bridge what KFP means otherwise
    run_messages.py, task_details.py, states.py, recurring_messages.py   our records in KFP's words
    asked_runs.py, sources.py   what requests ask of a run, and what it is to execute
    imported_resources.py, imported_jobs.py, imported_runs.py   our KfpImportService, which takes KFP's resources over:
                    past_runs.py and past_tasks.py make history of what KFP tells of a run

A handler takes the message of `penstock.kfp` and a Call, as handlers of `api` do. Ids of KFP are our uids, read with
`store.kfp_views`.
"""
