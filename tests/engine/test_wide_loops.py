"""Loops with many iterations, on the whole engine."""

import json

from penstock_server.launch.base import StepRequest
from penstock_server.launch.fake import Act, FakeHost
from penstock_server.model.resources import TaskValues
from tests import pipelines
from tests.engine.conftest import Field

ITERATIONS = 10_000
PARALLELISM = 50
BOUND_S = 180.0
"""On a machine that has other things to do as well."""


def wide_loop() -> pipelines.Ir:
    """A step over a list of numbers, whose outputs are collected."""
    number, numbers = {"parameterType": "NUMBER_INTEGER"}, {"parameterType": "LIST"}
    ir = pipelines.chain(1, "true")
    ir["components"]["comp-step"]["inputDefinitions"] = {"parameters": {"item": number}}
    ir["components"]["comp-step"]["outputDefinitions"] = {"parameters": {"made": number}}
    ir["root"]["dag"]["tasks"]["s0"] |= {
        "parameterIterator": {"items": {"raw": json.dumps(list(range(ITERATIONS)))}, "itemInput": "item"},
        "iteratorPolicy": {"parallelismLimit": PARALLELISM},
    }
    made = {"valueFromParameter": {"producerSubtask": "s0", "outputParameterKey": "made"}}
    ir["root"]["dag"]["outputs"] = {"parameters": {"all": made}}
    ir["root"]["outputDefinitions"] = {"parameters": {"all": numbers}}
    return ir


async def test_ten_thousand_iterations_run_and_are_collected_in_order(field: Field) -> None:
    most = 0

    def script(request: StepRequest) -> Act:
        nonlocal most
        most = max(most, 1 + sum(attempt.end is None for attempt in list(host.attempts.values())[-2 * PARALLELISM :]))
        return Act(outputs=TaskValues({"made": request.inputs.parameters["item"]}))

    host = FakeHost(script)
    await field.server(host, max_parallel_steps=2 * PARALLELISM)
    run = await field.ended(await field.submit(wide_loop()), bound_s=BOUND_S)
    assert run.outputs == {"all": list(range(ITERATIONS))}
    assert most <= PARALLELISM
