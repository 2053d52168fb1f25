"""Steps that are to be pods: what they ask of them is resolved by the engine, and told to the launcher."""

import asyncio
from typing import Any

import pytest

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.new_runs import NewRuns
from penstock_server.launch.base import Capability, Phase
from penstock_server.launch.fake import Act, FakeHost
from penstock_server.model.ids import RunUid
from penstock_server.model.resources import SERVICE_ACCOUNT_LABEL, EventSubject, TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec.document import load
from penstock_server.spec.support import CREATE_CLAIM, DELETE_CLAIM, volume_image
from tests import pipelines
from tests.engine.conftest import Field, eventually
from tests.spec.graphs import CORPUS
from tests.spec.pods import configured_document

MADE = {"taskOutputParameter": {"producerTask": "s0", "outputParameterKey": "made"}}
CLAIM = {"pvcMount": [{"pvcNameParameter": MADE, "mountPath": "/data"}]}
PODS = frozenset({Capability.PODS})


def makes(name: str, **act: Any) -> FakeHost:
    """A host on which the first step makes `name`, and the second one does as told."""
    made = Act(outputs=TaskValues({"made": name}))
    return FakeHost(lambda request: made if request.task_key == "s0" else Act(**act))


async def submit(field: Field, kubernetes: dict[str, Any], **more: Any) -> RunUid:
    document = configured_document(kubernetes)
    return await field.submit({"pipeline_spec": document.pipeline, "platform_spec": document.platform}, **more)


async def test_a_launcher_of_pods_is_told_what_a_step_asks_of_its_pod(field: Field) -> None:
    host = makes("claim-7")
    await field.server(host, capabilities=PODS)
    await field.ended(await submit(field, CLAIM))
    assert [request.settings.claims for request in host.launches] == [(), ("claim-7",)]
    assert host.launches[1].settings.image == "python:3.11"


async def test_another_launcher_is_not(field: Field) -> None:
    host = makes("Not A Name")
    await field.server(host)
    await field.ended(await submit(field, CLAIM))
    assert host.launches[1].settings.volumes == ()


async def test_a_pod_that_there_cannot_be_fails_the_step_before_any_attempt(field: Field) -> None:
    host = makes("Not A Name")
    await field.server(host, capabilities=PODS)
    uid = await submit(field, CLAIM)
    await field.ended(uid, "FAILED")
    task = (await field.tasks(uid))["s1"]
    assert (task.state, task.reason, task.attempt_count) == (TaskState.FAILED, "SETTING_INVALID", 0)
    assert "pvcNameParameter" in task.message
    assert len(host.launches) == 1


async def test_the_settings_are_the_same_on_a_server_that_takes_over(field: Field) -> None:
    gate = asyncio.Event()
    host = makes("claim-7", phase=Phase.LOST, reason="NODE_LOST", gate=gate)
    first = await field.server(host, capabilities=PODS, lease_ttl_s=1)
    await submit(field, CLAIM)
    await eventually(lambda: len(host.launches) == 2, "the second step runs")
    await first.kill()
    await field.server(host, capabilities=PODS, lease_ttl_s=1)
    gate.set()
    await eventually(lambda: len(host.launches) > 2, "another attempt is made")
    assert host.launches[2].settings == host.launches[1].settings


@pytest.mark.parametrize(("name", "launched"), [("claim-1", 2), ("claim-2", 3)])
async def test_a_result_is_reused_where_the_same_claims_are_mounted(field: Field, name: str, launched: int) -> None:
    document = configured_document({"pvcMount": [{"pvcNameParameter": MADE, "mountPath": "/data"}]})
    spec: Any = document.pipeline
    spec["root"]["dag"]["tasks"]["s1"]["cachingOptions"] = {"enableCache": True}
    source = {"pipeline_spec": spec, "platform_spec": document.platform}
    names = iter(["claim-1", name])
    host = FakeHost(
        lambda request: Act(outputs=TaskValues({"made": next(names)})) if request.task_key == "s0" else Act()
    )
    await field.server(host, capabilities=PODS)
    await field.ended(await field.submit(source))
    await field.ended(await field.submit(source))
    assert len(host.launches) == launched + 1


async def test_a_step_that_waits_for_a_node_says_so_until_it_runs(field: Field) -> None:
    entry = asyncio.Event()
    host = FakeHost(lambda request: Act(waits=(("UNSCHEDULABLE", "no node"), ("PULLING", "image")), entry=entry))
    server = await field.server(host)
    uid = await field.submit(pipelines.chain(1, "true"))

    async def waits() -> bool:
        task = (await field.tasks(uid)).get("s0")
        return task is not None and task.reason == "PULLING"

    await eventually(waits, "the step waits for its image")
    await server.kill()
    await field.server(host)
    entry.set()
    await field.ended(uid)
    moves = [event for event in await field.events(uid) if event.subject is EventSubject.ATTEMPT]
    told = [(event.to_state, event.reason) for event in moves]
    assert told[:3] == [("LAUNCHING", ""), ("LAUNCHING", "UNSCHEDULABLE"), ("LAUNCHING", "PULLING")]
    assert told.count(told[2]) == 1


async def test_a_step_has_the_service_account_of_its_run(field: Field) -> None:
    host = makes("claim-7")
    await field.server(host, capabilities=PODS)
    await field.ended(await submit(field, {}, labels={SERVICE_ACCOUNT_LABEL: "trainer"}))
    assert {request.facts.service_account for request in host.launches} == {"trainer"}


async def test_steps_that_make_and_delete_volumes_come_to_the_launcher_as_any_others(field: Field) -> None:
    document = load((CORPUS / "kubernetes" / "create_mount_delete_existing_pvc.yaml").read_text())
    host = FakeHost(
        lambda request: Act(outputs=TaskValues({"name": "made"} if "createpvc" in request.task_key else {}))
    )
    await field.server(host, capabilities=PODS | {Capability.VOLUMES})
    field.new_runs = NewRuns(field.database, Graphs(), makes_volumes=True)
    await field.ended(await field.submit({"pipeline_spec": document.pipeline, "platform_spec": document.platform}))
    told = [(volume_image(request.component), request.inputs.parameters.get("pvc_name")) for request in host.launches]
    assert told[0][0] == CREATE_CLAIM
    assert told[-1] == (DELETE_CLAIM, "made")
    assert host.launches[1].settings.claims == ("made",)
