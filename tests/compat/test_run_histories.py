"""How many tasks a page of runs tells."""

import pytest

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.run_histories import TASKS_OF_PAGE_MAX, RunHistory, fitting

MOST = TASKS_OF_PAGE_MAX


def history(task_count: int) -> RunHistory:
    message = pb.Run(run_details=pb.RunDetails(task_details=[pb.PipelineTaskDetail(task_id="root")]))
    message.state_history.add(state=pb.SUCCEEDED)
    return RunHistory(message.SerializeToString(), task_count)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([MOST], [True]),
        ([1, MOST - 1, 1], [True, True, False]),
        ([MOST + 1, 1], [False, False]),
        ([2, MOST, 1], [True, False, False]),
        ([], []),
    ],
)
def test_a_page_tells_the_tasks_of_runs_until_one_has_too_many(counts: list[int], told: list[bool]) -> None:
    messages = [pb.Run.FromString(each.message) for each in fitting([history(count) for count in counts])]
    assert [message.HasField("run_details") for message in messages] == told
    assert all(len(message.state_history) == 1 for message in messages)
