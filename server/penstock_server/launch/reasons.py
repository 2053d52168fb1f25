"""Why attempts end, and wait, on the side of launchers: whose failure each is, and what its user can do.

Reasons are stable words; a failure with a reason that is not here is the step's own. The table in
docs/reference/states.md is this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_agent.notices import FETCHING_INPUTS, STORE_UNREACHABLE
from penstock_server.model.states import FailureClass
from penstock_server.spec.pod_entries import SETTING_INVALID

POLICY_DENIED = "POLICY_DENIED"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a reason means."""

    failure: FailureClass
    meaning: str
    hint: str
    """What to do, in a sentence."""
    is_settled: bool = False
    """Another attempt is not made: it would end the same way, or this one has waited as long as anything may."""


_STEP, _ENVIRONMENT, _LOST = FailureClass.STEP, FailureClass.ENVIRONMENT, FailureClass.LOST
_NOTHING = "Nothing needs to be done: another attempt is made."
_KEYS = (
    "Check the secrets of `kubernetes_store_secrets` in the namespace of the pod, or who may use the store's volume."
)
_ADDRESS = "See that the store answers at an address that pods reach (`artifacts_endpoint`)."

ENDINGS: Mapping[str, Ending] = {
    "EXIT_CODE": Ending(_STEP, "The step ended with another exit status than 0.", "Read the last lines of its log."),
    "OUTPUT_MISSING": Ending(_STEP, "The step has not written an output parameter.", "Write each that is declared."),
    "OUTPUT_INVALID": Ending(_STEP, "An output cannot be read.", "Write what its type asks for."),
    "COMMAND_INVALID": Ending(
        _STEP, "There is nothing that could be started, or it is too long.", "Correct the command of the component."
    ),
    "OUT_OF_MEMORY": Ending(
        FailureClass.OUT_OF_MEMORY, "The step used more memory than it had.", "Raise its memory limit, or use less."
    ),
    "TIMED_OUT": Ending(FailureClass.TIMEOUT, "The step took longer than it may.", "Raise its time limit."),
    "LIMIT_EXCEEDED": Ending(
        _STEP, "The step used more of the node's disk than its limit.", "Raise its limit of ephemeral-storage."
    ),
    "ENVIRONMENT_FAILED": Ending(
        _ENVIRONMENT, "What the step runs in could not be made.", "The message names the package, volume or setting."
    ),
    "IMAGE_UNAVAILABLE": Ending(
        _ENVIRONMENT,
        "The image cannot be pulled, or has an impossible name.",
        "Check its name and tag, and the pull secret of the step.",
        is_settled=True,
    ),
    "CONTAINER_CONFIG_INVALID": Ending(
        _ENVIRONMENT,
        "A secret, config map or key that the step needs is not there, or the image does not fit its user.",
        "Make what the message names, in the namespace of the pod.",
        is_settled=True,
    ),
    "PROGRAM_NOT_FOUND": Ending(
        _ENVIRONMENT,
        "The image has no such program, or it may not be executed.",
        "Correct the command of the component, or its image.",
        is_settled=True,
    ),
    "CONTAINER_START_FAILED": Ending(
        _ENVIRONMENT,
        "The node could not start the container; the message holds its words.",
        "Correct what the message names, or see the node.",
    ),
    "UNSCHEDULABLE": Ending(
        _ENVIRONMENT,
        "No node takes the pod; the message holds the scheduler's words.",
        "Ask for less, or for nodes that there are; wait for room.",
        is_settled=True,
    ),
    "QUOTA_EXCEEDED": Ending(
        _ENVIRONMENT,
        "The namespace of the cluster has no room for the pod.",
        "Raise its quota, or wait for room.",
        is_settled=True,
    ),
    "PERMISSION_LACKING": Ending(
        _ENVIRONMENT,
        "The cluster has no role that lets the server make the pod.",
        "Apply `rbac.yaml` in the namespace of the steps; what waits goes on then.",
        is_settled=True,
    ),
    "CLAIM_FAILED": Ending(
        _ENVIRONMENT, "A volume claim could not be made or deleted.", "Correct what the message names."
    ),
    "POD_REFUSED": Ending(
        _ENVIRONMENT,
        "The cluster does not take the pod; the message holds its words.",
        "Correct what the message names: a setting of the step, its namespace, or a rule of the cluster.",
        is_settled=True,
    ),
    POLICY_DENIED: Ending(
        _ENVIRONMENT,
        "The namespace's policy forbids the pod; the message names the rule.",
        "Ask for what the rule allows, or let an administrator change it.",
        is_settled=True,
    ),
    SETTING_INVALID: Ending(
        _ENVIRONMENT,
        "What the step asks of its pod cannot be; the message names the setting.",
        "Correct the setting, or the value that it comes from.",
        is_settled=True,
    ),
    "INPUT_UNAVAILABLE": Ending(
        FailureClass.INPUT, "An input artifact could not be brought to the step.", "See whether it is still there."
    ),
    "STORE_REFUSED": Ending(
        _ENVIRONMENT,
        "The store of artifacts did not let the pod read.",
        _KEYS,
    ),
    "PUBLISH_REFUSED": Ending(
        _ENVIRONMENT,
        "The step ended well, and the store of artifacts did not take its outputs from the pod.",
        f"{_KEYS} Then retry the run: the step runs again.",
        is_settled=True,
    ),
    "START_FAILED": Ending(_LOST, "The step could not be started.", _NOTHING),
    "PUBLISH_FAILED": Ending(
        _LOST,
        "What the step has made could not be stored.",
        "See that the store is reachable; of a pod whose artifacts take longer raise `kubernetes_pod_grace_s`.",
    ),
    "STORE_UNAVAILABLE": Ending(_LOST, "The store of artifacts did not answer.", _ADDRESS),
    "LAUNCHER_ERROR": Ending(_LOST, "The launcher failed.", "Report it, with the message."),
    "PROCESS_GONE": Ending(_LOST, "The process is gone, and nobody can tell how it ended.", _NOTHING),
    "NODE_LOST": Ending(_LOST, "The pod's node is gone, or does not answer.", _NOTHING),
    "NODE_SHUTDOWN": Ending(_LOST, "The pod's node was shut down.", _NOTHING),
    "SANDBOX_LOST": Ending(
        _LOST, "The node lost the sandbox that the pod's containers share, and ended them.", _NOTHING
    ),
    "POD_DELETED": Ending(_LOST, "Somebody deleted the pod.", _NOTHING),
    "POD_EVICTED": Ending(
        _LOST, "The node evicted the pod: it was short of something, or drained.", "Ask for what the step really needs."
    ),
    "POD_PREEMPTED": Ending(_LOST, "The pod made room for one of a higher priority.", _NOTHING),
    "POD_REJECTED": Ending(_LOST, "The node did not take the pod.", _NOTHING),
}
"""By reason, in the order in which they are told to people."""

WAITS: Mapping[str, str] = {
    STORE_UNREACHABLE: _ADDRESS,
    FETCHING_INPUTS: "Nothing needs to be done: large inputs take their time.",
}
"""What to do about waits that are no ends, where the cluster does not say it."""

CLASSES: Mapping[str, FailureClass] = {reason: ending.failure for reason, ending in ENDINGS.items()}
SETTLED = frozenset(reason for reason, ending in ENDINGS.items() if ending.is_settled)


def endings_table() -> str:
    """The table of ends in Markdown, as docs/reference/states.md has it."""
    head = "| Reason | Class | Meaning | What to do |\n|---|---|---|---|\n"
    rows = (
        f"| `{reason}` | {_class(ending)} | {ending.meaning} | {ending.hint} |\n" for reason, ending in ENDINGS.items()
    )
    return head + "".join(rows)


def _class(ending: Ending) -> str:
    return f"{ending.failure}, for good" if ending.is_settled else ending.failure


def hint_of(reason: str) -> str:
    """What can be done about an end, or a wait, with this reason; empty where that is not known."""
    ending = ENDINGS.get(reason)
    return ending.hint if ending is not None else WAITS.get(reason, "")
