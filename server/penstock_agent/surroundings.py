"""What the agent is given by its container: the plan, the store, a place for its last words."""

import os
import sys
from collections.abc import Mapping

from penstock_agent.exits import AgentError, status_of
from penstock_agent.parallel import Patience
from penstock_agent.plan import PLAN_URI_VARIABLE, PLAN_VARIABLE, STORE_VARIABLE, PlanError, StagePlan, StoreOptions
from penstock_agent.report import MESSAGE_BYTES_MAX
from penstock_agent.stores import Store, StoreError, open_store

MESSAGE_FILE_VARIABLE = "PENSTOCK_MESSAGE_FILE"
MESSAGE_FILE = "/dev/termination-log"
PLAN_BYTES_MAX = 64 * 1024 * 1024


def store_of(environ: Mapping[str, str]) -> Store:
    """The store of the container. Raises PlanError, AgentError."""
    try:
        return open_store(StoreOptions.from_text(environ.get(STORE_VARIABLE, "")))
    except StoreError as error:
        raise PlanError(f"{STORE_VARIABLE}: {error}") from error


def plan_of(environ: Mapping[str, str], store: Store, patience: Patience) -> StagePlan:
    """The plan of the container. Raises PlanError, AgentError."""
    if text := environ.get(PLAN_VARIABLE):
        return StagePlan.from_variable(text)
    uri = environ.get(PLAN_URI_VARIABLE)
    if not uri:
        raise PlanError(f"neither {PLAN_VARIABLE} nor {PLAN_URI_VARIABLE} is set")
    try:
        content = patience(lambda: store.read(uri, PLAN_BYTES_MAX))
    except StoreError as error:
        raise AgentError(status_of(error), f"the plan at {uri} could not be read: {error}") from error
    if content is None:
        raise PlanError(f"there is no plan at {uri}")
    return StagePlan.from_json(content.decode(errors="replace"))


def tell(message: str, environ: Mapping[str, str]) -> None:
    """Leave the termination message, instead of an earlier one."""
    content = message.encode(errors="replace")[:MESSAGE_BYTES_MAX]
    try:
        with open(environ.get(MESSAGE_FILE_VARIABLE, MESSAGE_FILE), "wb") as file:
            file.write(content)
    except OSError as error:
        print(f"penstock: the termination message cannot be left: {os.strerror(error.errno or 0)}", file=sys.stderr)
