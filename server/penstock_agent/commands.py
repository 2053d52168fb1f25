"""The commands, and what is told when they fail."""

import sys
from collections.abc import Mapping

from penstock_agent.exits import DONE, INTERNAL, PLAN_INVALID, VOLUME_UNUSABLE, AgentError
from penstock_agent.plan import PlanError
from penstock_agent.surroundings import tell


def run(command: list[str], environ: Mapping[str, str]) -> int:
    """Do it; the exit status. Why it failed is left as the termination message."""
    try:
        _do(command, environ)
    except AgentError as error:
        return _failed(error.status, str(error), environ)
    except PlanError as error:
        return _failed(PLAN_INVALID, str(error), environ)
    except OSError as error:
        message = f"{error.filename or 'a volume of the pod'} cannot be used: {error.strerror or error}"
        return _failed(VOLUME_UNUSABLE, message, environ)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return _failed(INTERNAL, f"the agent failed: {type(error).__name__}: {error}", environ)
    return DONE


def _do(command: list[str], environ: Mapping[str, str]) -> None:
    # Imported where it is needed: both are started in every pod.
    if command == ["stage-in"]:
        from penstock_agent.stage_in import stage_in

        stage_in(environ)
    elif command == ["stage-out"]:
        from penstock_agent.stage_out import stage_out

        stage_out(environ)
    elif command != ["nothing"]:
        raise PlanError(f"{' '.join(command) or 'it'} is no command of the agent: stage-in, stage-out or nothing")


def _failed(status: int, message: str, environ: Mapping[str, str]) -> int:
    print(f"penstock: {message}", file=sys.stderr, flush=True)
    tell(message, environ)
    return status
