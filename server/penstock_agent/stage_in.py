"""*stage-in*: what is done before the step. The folders are made and the inputs brought, unless the attempt is over."""

import os
from collections.abc import Callable, Mapping

from penstock_agent.content import ContentError, is_there, size_of
from penstock_agent.exits import (
    ALREADY_ENDED,
    CLOSED,
    INPUT_UNAVAILABLE,
    STORE_REFUSED,
    VOLUME_UNUSABLE,
    AgentError,
    status_of,
)
from penstock_agent.notices import FETCHING_INPUTS, telling
from penstock_agent.parallel import Patience, in_parallel
from penstock_agent.plan import Fetch, StagePlan
from penstock_agent.stores import Store, StoreDeniedError, StoreError
from penstock_agent.surroundings import plan_of, store_of

PATIENCE_S = 120.0
"""So long the store is asked again before the attempt fails."""


def stage_in(environ: Mapping[str, str]) -> None:
    """Raises AgentError, PlanError."""
    # Whoever runs the step may write to its folders and change its inputs.
    os.umask(0)
    patience = Patience(PATIENCE_S)
    store = store_of(environ)
    plan = plan_of(environ, store, patience)
    _refuse_what_is_over(plan, store, patience)
    try:
        for folder in plan.folders:
            os.makedirs(folder, exist_ok=True)
        _bring(plan, store, patience)
    except OSError as error:
        message = f"{error.filename or 'a volume of the pod'} cannot be written: {error.strerror}"
        raise AgentError(VOLUME_UNUSABLE, message) from error


def _bring(plan: StagePlan, store: Store, patience: Patience) -> None:
    """Fetch the inputs; one that is brought to the workspace arrives beside its place there."""
    arriving = [f"{plan.workspace}/.incoming/{os.urandom(16).hex()}" for _ in plan.downloads]
    jobs = [_fetching(fetch, store, patience) for fetch in plan.fetches]
    jobs += [_downloading(*each, store, patience) for each in zip(plan.downloads, arriving, strict=True)]
    if not jobs:
        return
    paths = [*(fetch.path for fetch in plan.fetches), *arriving]
    uris = [fetch.uri for fetch in (*plan.fetches, *plan.downloads)]
    others = f" and {len(uris) - 1} more" if len(uris) > 1 else ""
    with telling(FETCHING_INPUTS, lambda: f"{uris[0]}{others}: {sum(map(size_of, paths)) / 1e6:,.1f} MB so far"):
        in_parallel(jobs)


def _refuse_what_is_over(plan: StagePlan, store: Store, patience: Patience) -> None:
    def is_there(uri: str) -> Callable[[], bool]:
        return lambda: patience(lambda: store.is_file(uri))

    try:
        has_ended, is_closed = in_parallel([is_there(plan.report_uri), is_there(plan.closed_uri)])
    except StoreError as error:
        raise AgentError(status_of(error), str(error)) from error
    if has_ended:
        raise AgentError(ALREADY_ENDED, f"attempt {plan.attempt} has run before: {plan.report_uri} tells how it ended")
    if is_closed:
        raise AgentError(CLOSED, f"attempt {plan.attempt} must not start any more: {plan.closed_uri} says so")


def _fetching(fetch: Fetch, store: Store, patience: Patience) -> Callable[[], bool]:
    return lambda: _fetch(fetch, store, patience)


def _fetch(fetch: Fetch, store: Store, patience: Patience) -> bool:
    """An artifact need not have content: some are metadata only. The step says itself what it misses."""
    try:
        return patience(lambda: store.fetch(fetch.uri, fetch.path, fetch.digest))
    except (StoreError, ContentError) as error:
        message = f"the input artifact {fetch.uri} could not be fetched: {error}"
        status = STORE_REFUSED if isinstance(error, StoreDeniedError) else INPUT_UNAVAILABLE
        raise AgentError(status, message) from error


def _downloading(fetch: Fetch, incoming: str, store: Store, patience: Patience) -> Callable[[], bool]:
    """Bring content to the workspace, whole or not at all; what is there already stays."""

    def download() -> bool:
        if is_there(fetch.path):
            return True
        if not _fetch(fetch._replace(path=incoming), store, patience):
            raise AgentError(INPUT_UNAVAILABLE, f"there is nothing at {fetch.uri} to be brought to the workspace")
        os.makedirs(os.path.dirname(fetch.path), exist_ok=True)
        try:
            os.rename(incoming, fetch.path)
        except OSError:
            # Another importer of the same was faster: a folder is not replaced by a rename.
            if not is_there(fetch.path):
                raise
        return True

    return download
