"""A step learns its own settings as fragments of a pod, and which of them are applied to itself."""

from typing import Any

import pytest

from penstock_server.model.resources import TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec import resolve
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import Document
from penstock_server.spec.graph import Component, Dag, PipelineGraph
from penstock_server.spec.pod_reader import applies_to_task
from penstock_server.spec.resolve import Ending
from penstock_server.spec.support import check_supported
from tests import pipelines
from tests.spec.test_resolve import CONSTANTS

Ir = dict[str, Any]
ALL = [
    "RESOURCES",
    "ENV",
    "KUBERNETES_AFFINITY",
    "KUBERNETES_TOLERATIONS",
    "KUBERNETES_NODE_SELECTOR",
    "KUBERNETES_VOLUMES",
]


def configured(settings: Ir, *fields: str, applied: bool = False, **container: Any) -> PipelineGraph:
    """A pipeline whose task `b` after `a` takes its settings as `config`."""
    spec = pipelines.dag({"a": [], "b": ["a"]}, "true")
    spec["root"]["dag"]["tasks"]["b"]["componentRef"]["name"] = "comp-taker"
    spec["root"]["inputDefinitions"] = {"parameters": {"given": {"parameterType": "STRUCT", "isOptional": True}}}
    declared = {"config": {"parameterType": "TASK_CONFIG"}, "cpu": {"parameterType": "STRING", "defaultValue": "2"}}
    spec["components"]["comp-taker"] = {
        "executorLabel": "exec-taker",
        "inputDefinitions": {"parameters": declared},
        "taskConfigPassthroughs": [{"field": field, "applyToTask": applied} for field in fields],
    }
    spec["deploymentSpec"]["executors"]["exec-taker"] = {"container": {"image": "x", "command": ["true"], **container}}
    platform: Ir = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-taker": settings}}}}}
    return compile_pipeline(Document(spec, platform))


def config_of(graph: PipelineGraph, given: Any = None) -> Any:
    check_supported(graph)
    assert isinstance(graph.root.body, Dag)
    ending = Ending(TaskState.SUCCEEDED, TaskValues({"name": "claim-1"}), "")
    inputs = resolve.task_inputs(
        graph.components["comp-taker"],
        graph.root.body.tasks["b"],
        TaskValues({"given": given}),
        lambda _: ending,
        CONSTANTS,
    )
    return inputs.values.parameters["config"]


CPU = "{{$.inputs.parameters['cpu']}}"
GIVEN = {"componentInputParameter": "given"}
MADE = {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "name"}}
TERM = {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
REQUIRED, PREFERRED = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))
PASSED_ON: list[tuple[Ir, Ir, Ir]] = [
    (
        {},
        {"resources": {"resourceCpuLimit": CPU, "resourceMemoryRequest": "1G"}},
        {"resources": {"limits": {"cpu": "2"}, "requests": {"memory": "1G"}}},
    ),
    (
        {},
        {"resources": {"accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"}}},
        {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
    ),
    ({}, {"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "1"}]}),
    (
        {"secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "E"}], "optional": True}]},
        {},
        {"env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}]},
    ),
    (
        {"fieldPathAsEnv": [{"name": "POD", "fieldPath": "metadata.name"}]},
        {},
        {"env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
    ),
    ({"nodeSelector": {"labels": {"disk": "ssd"}}}, {}, {"nodeSelector": {"disk": "ssd"}}),
    ({"nodeSelector": {"nodeSelectorJson": GIVEN}}, {}, {"nodeSelector": {"from": "outside"}}),
    (
        {
            "tolerations": [
                {"key": "a", "tolerationSeconds": "5"},
                {"tolerationJson": {"runtimeValue": {"constant": [{}]}}},
            ]
        },
        {},
        {"tolerations": [{"key": "a", "tolerationSeconds": 5}]},
    ),
    (
        {"nodeAffinity": [TERM, {**TERM, "weight": 3}, {}]},
        {},
        {
            "affinity": {
                "nodeAffinity": {
                    REQUIRED: {"nodeSelectorTerms": [TERM]},
                    PREFERRED: [{"weight": 3, "preference": TERM}],
                }
            }
        },
    ),
    (
        {"pvcMount": [{"pvcNameParameter": MADE, "mountPath": "/data", "subPath": "x"}]},
        {},
        {
            "volumes": [{"name": "claim-1", "persistentVolumeClaim": {"claimName": "claim-1"}}],
            "volumeMounts": [{"name": "claim-1", "mountPath": "/data", "subPath": "x"}],
        },
    ),
    (
        {
            "secretAsVolume": [{"secretName": "s", "mountPath": "/s"}],
            "configMapAsVolume": [{"configMapNameParameter": {"componentInputParameter": "absent"}, "mountPath": "/c"}],
        },
        {},
        {
            "volumes": [{"name": "s", "secret": {"secretName": "s", "optional": False}}],
            "volumeMounts": [{"name": "s", "mountPath": "/s"}],
        },
    ),
]


@pytest.mark.parametrize(("settings", "container", "expected"), PASSED_ON, ids=str)
def test_a_setting_is_passed_on_in_the_form_of_kubernetes(settings: Ir, container: Ir, expected: Ir) -> None:
    assert config_of(configured(settings, *ALL, **container), {"from": "outside"}) == expected


def test_only_what_is_listed_is_passed_on() -> None:
    settings = {"nodeSelector": {"labels": {"disk": "ssd"}}, "tolerations": [{"key": "a"}]}
    graph = configured(settings, "KUBERNETES_TOLERATIONS", env=[{"name": "A", "value": "1"}])
    assert config_of(graph) == {"tolerations": [{"key": "a"}]}


def test_a_setting_is_applied_to_the_step_unless_it_is_only_passed_on() -> None:
    def component(*fields: str, applied: bool = False) -> Component:
        return configured({}, *fields, applied=applied).components["comp-taker"]

    assert not applies_to_task(component("ENV"), "ENV")
    assert applies_to_task(component("ENV", applied=True), "ENV")
    assert applies_to_task(component("ENV"), "RESOURCES")
    assert applies_to_task(configured({}).components["comp-step"], "ENV")
