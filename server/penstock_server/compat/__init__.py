"""KFP's API, on the engine and the store that `api` uses: what is made on one side is seen on the other.

    services.py     puts the services together, each with KFP's dialect; `main` wraps and serves them as it does ours
    dialect.py      JSON, errors and unknown paths over REST as KFP has them
    spaces.py       in which namespace a call works: `default` for a single user, or the one asked for
    lists.py        a page of any list: fields.py (what a list has), filters.py, orders.py, tokens, `total_size`
    times.py        timestamps
    refusals.py     errors that name a field
    runs.py         runs made, read and listed; run_actions.py what is done to them, run_files.py their logs and artifacts
    recurring_runs.py  jobs; triggers.py and literals.py bridge what KFP means otherwise
    *_messages.py, states.py, task_details.py, sources.py  our records in KFP's words, and what requests ask for

A handler takes the message of `penstock.kfp` and a Call, as handlers of `api` do. Ids of KFP are our uids, read with
`store.kfp_views`.
"""
