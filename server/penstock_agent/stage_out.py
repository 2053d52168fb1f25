"""*stage-out*: what is done after the step. It waits to be ended, reads what the step has left, stores it, reports."""

import signal
from collections.abc import Callable, Mapping
from contextlib import suppress

from penstock_agent.content import ContentError, ContentMissingError, Source
from penstock_agent.exits import AgentError, status_of
from penstock_agent.leavings import Leavings, collect
from penstock_agent.parallel import Patience, in_parallel
from penstock_agent.plan import StagePlan
from penstock_agent.report import ReportPlace, StepReport, StoredContent, message_of, new_digest, sha256
from penstock_agent.stores import Store, StoreError
from penstock_agent.surroundings import plan_of, store_of, tell

END = frozenset({signal.SIGTERM, signal.SIGINT})
MARGIN_S = 3.0
"""Of the grace, kept back to say what went wrong."""
REFUSALS_S = 60.0
"""So long outputs that are refused are offered again: the step will not be run another time for that."""


def stage_out(environ: Mapping[str, str]) -> None:
    """Raises AgentError, PlanError.

    The signals of `END` have to be blocked: one that arrives before anybody waits for it is kept then.
    """
    with suppress(Exception):
        # What will be needed is loaded while the step runs; what is wrong will be again when its time has come.
        new_digest()
        plan_of(environ, store_of(environ), Patience(0))
    signal.sigwait(END)
    store = store_of(environ)
    plan = plan_of(environ, store, Patience(MARGIN_S))
    tell(f"the outputs of {plan.attempt} were not stored within {plan.grace_s:g} s", environ)
    tell(store_outputs(plan, store, Patience(plan.grace_s - MARGIN_S, refusals_s=REFUSALS_S)), environ)


def store_outputs(plan: StagePlan, store: Store, patience: Patience) -> str:
    """Store all that the step has left, and the report of it; the termination message. Raises AgentError."""
    left = collect(plan)
    jobs = [_storing(uri, source, store, patience) for uri, source in left.contents.items()]
    results = dict(zip(left.contents, in_parallel(jobs), strict=True))
    report = _report(plan, left, results).to_json()
    try:
        patience(lambda: store.write(plan.report_uri, report))
    except StoreError as error:
        raise AgentError(status_of(error), f"the report could not be stored at {plan.report_uri}: {error}") from error
    return message_of(report, ReportPlace(plan.report_uri, sha256(report)))


def _storing(uri: str, source: Source, store: Store, patience: Patience) -> Callable[[], StoredContent | str | None]:
    """What was stored; a sentence where the content will not do; None where there is none."""

    def publish() -> StoredContent | str | None:
        try:
            return patience(lambda: store.publish(source, uri))
        except ContentMissingError:
            return None
        except ContentError as error:
            return f"an output artifact cannot be stored: {error}"
        except StoreError as error:
            message = f"an output artifact could not be stored at {uri}: {error}"
            raise AgentError(status_of(error), message) from error

    return publish


def _report(plan: StagePlan, left: Leavings, results: Mapping[str, StoredContent | str | None]) -> StepReport:
    return StepReport(
        attempt=plan.attempt,
        executor_output=left.executor_output,
        parameters=left.parameters,
        stored={uri: result for uri, result in results.items() if isinstance(result, StoredContent)},
        faults=(*left.faults, *(result for result in results.values() if isinstance(result, str))),
    )
