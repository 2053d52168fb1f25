"""The exit statuses of the agent. Each is told with a sentence in the termination message.

| Status | Name | Of | Means |
|---|---|---|---|
| 0 | DONE | both | all is done; *stage-out*: the report is stored and says all there is to say |
| 64 | PLAN_INVALID | both | there is no plan, or none this agent can read |
| 65 | ALREADY_ENDED | *stage-in* | the attempt has a report: it ran before and must not run again |
| 66 | CLOSED | *stage-in* | the server has closed the attempt: it must not start any more |
| 67 | INPUT_UNAVAILABLE | *stage-in* | an input artifact could not be fetched, or is not what was stored |
| 68 | STORE_UNAVAILABLE | both | the object store did not answer as it should; repeating may help |
| 69 | VOLUME_UNUSABLE | both | the pod's own volumes could not be read or written, as when they are full |
| 70 | INTERNAL | both | the agent itself failed |
| 71 | STORE_REFUSED | both | the object store does not let us, as with wrong keys; repeating does not help |

What is wrong with the outputs that a step has left is none of these: it stands in the report.
"""

from penstock_agent.stores import StoreError

DONE = 0
PLAN_INVALID = 64
ALREADY_ENDED = 65
CLOSED = 66
INPUT_UNAVAILABLE = 67
STORE_UNAVAILABLE = 68
VOLUME_UNUSABLE = 69
INTERNAL = 70
STORE_REFUSED = 71


def status_of(error: StoreError) -> int:
    """That of a store which did not do what it was asked."""
    return STORE_REFUSED if error.is_lasting else STORE_UNAVAILABLE


class AgentError(Exception):
    """The agent ends with this status; the message becomes the termination message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
