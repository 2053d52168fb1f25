"""Every pipeline of the corpus that sets up its pods gets the pods it asks for."""

from dataclasses import replace
from typing import Any

import pytest

from penstock_server.launch.kubernetes.manifest import pod_manifest
from penstock_server.spec.graph import PipelineGraph
from tests.launch.kubernetes.test_manifest import FRAME, PLAN, main_of
from tests.launch.world import step
from tests.spec.graphs import CORPUS, of_corpus
from tests.spec.pods import settings_of, task_of

Fragment = dict[str, Any]


def pod_of(graph: PipelineGraph, label: str, **values: Any) -> Fragment:
    component = graph.components[task_of(graph, label).component]
    request = replace(step(of=component), settings=settings_of(graph, label, **values))
    return pod_manifest(request, PLAN, FRAME, "steps")


def mounted(name: str, path: str, source: Fragment, label: str = "exec-comp") -> tuple[str, Fragment, Fragment]:
    return label, {"volumes": [{"name": name, **source}]}, {"volumeMounts": [{"name": name, "mountPath": path}]}


def claim(name: str, label: str) -> tuple[str, Fragment, Fragment]:
    return mounted(name, "/data", {"persistentVolumeClaim": {"claimName": name}}, label)


def preferred(key: str, value: str, weight: int) -> Fragment:
    return {
        "weight": weight,
        "preference": {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]},
    }


def near(*terms: Fragment) -> Fragment:
    return {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": list(terms)}}}


Rows = list[tuple[str, Fragment, Fragment]]
MADE = {"name": "made-claim"}
TABLE: dict[str, Rows] = {
    "config_map_as_env": [
        (
            "exec-comp",
            {},
            {
                "env": [
                    {
                        "name": "CONFIG_MAP_VAR",
                        "valueFrom": {"configMapKeyRef": {"name": "my-cm", "key": "foo", "optional": False}},
                    }
                ]
            },
        )
    ],
    "config_map_as_vol": [mounted("my-cm", "/mnt/my_vol", {"configMap": {"name": "my-cm", "optional": False}})],
    "create_mount_delete_dynamic_pvc": [claim("made-claim", "exec-producer"), claim("made-claim", "exec-consumer")],
    "create_mount_delete_existing_pvc": [claim("made-claim", "exec-comp")],
    "create_mount_delete_existing_pvc_from_task_output": [claim("made-claim", "exec-comp")],
    "empty_dir_mounts": [
        mounted("emptydir-vol-1", "/mnt/my_vol_1", {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}})
    ],
    "field_path_as_env": [
        (
            "exec-comp",
            {},
            {
                "env": [
                    {
                        "name": "KFP_RUN_NAME",
                        "valueFrom": {
                            "fieldRef": {"fieldPath": "metadata.annotations['pipelines.kubeflow.org/run_name']"}
                        },
                    }
                ]
            },
        )
    ],
    "general_ephemeral_volume": [
        mounted(
            "pvc-name",
            "path",
            {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "metadata": {"annotations": {"annotation1": "a1"}},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}},
                    }
                }
            },
        )
    ],
    "image_pull_secrets": [("exec-comp", {"imagePullSecrets": [{"name": "my-secret"}]}, {})],
    "init_container": [
        (
            "exec-print-greeting",
            {
                "volumes": [{"name": "shared-data", "emptyDir": {}}],
                "initContainers": [
                    {
                        "name": "prepare-data",
                        "image": "busybox:1.36",
                        "command": ["sh", "-c"],
                        "args": ["echo ready > /data/marker"],
                        "env": [{"name": "MARKER_TEXT", "value": "ready"}],
                        "volumeMounts": [{"name": "shared-data", "mountPath": "/data"}],
                    }
                ],
            },
            {"volumeMounts": [{"name": "shared-data", "mountPath": "/data"}]},
        )
    ],
    "node_selector": [("exec-comp", {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-p4"}}, {})],
    "nodeaffinity": [
        ("exec-print-hello-with-json-affinity", near(preferred("disktype", "ssd", 100)), {}),
        (
            "exec-print-hello-with-json-affinity-2",
            near(preferred("zone", "us-west-1", 100), preferred("instance-type", "n1-standard-4", 50)),
            {},
        ),
        ("exec-print-hello-with-preferred-affinity", near(preferred("zone", "us-west-1", 50)), {}),
        ("exec-print-hello-with-empty-json", {}, {}),
    ],
    "secret_as_env": [
        (
            "exec-comp",
            {},
            {
                "env": [
                    {
                        "name": "SECRET_VAR",
                        "valueFrom": {"secretKeyRef": {"name": "my-secret", "key": "password", "optional": False}},
                    }
                ]
            },
        )
    ],
    "secret_as_vol": [mounted("my-secret", "/mnt/my_vol", {"secret": {"secretName": "my-secret", "optional": False}})],
    "security_context": [
        (
            "exec-print-greeting",
            {},
            {"securityContext": {"runAsUser": 65534, "runAsGroup": 0, "capabilities": {"drop": ["ALL"]}}},
        )
    ],
    "timeout": [("exec-comp", {}, {})],
    "toleration": [
        (
            "exec-comp",
            {
                "tolerations": [
                    {
                        "key": "key1",
                        "operator": "Equal",
                        "value": "value1",
                        "effect": "NoExecute",
                        "tolerationSeconds": 10,
                    }
                ]
            },
            {},
        )
    ],
}
ROWS = [(file, *row) for file, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(("file", "label", "spec", "main"), ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_a_pod_has_what_the_pipeline_asks_for(file: str, label: str, spec: Fragment, main: Fragment) -> None:
    made = pod_of(of_corpus(f"kubernetes/{file}"), label, made=MADE)
    assert holds(made["spec"], spec)
    assert holds(main_of(made), main)
    assert {"affinity", "tolerations", "nodeSelector", "imagePullSecrets"} & made["spec"].keys() == {
        key for key in spec if key not in ("volumes", "initContainers")
    }
    assert ("securityContext" in main_of(made)) is ("securityContext" in main)


def holds(found: Any, expected: Fragment) -> bool:
    """True where each part is there; of a list each element."""
    return all(
        all(item in found[key] for item in part) if isinstance(part, list) else found[key] == part
        for key, part in expected.items()
    )


def test_the_table_has_every_file() -> None:
    assert set(TABLE) == {path.stem for path in (CORPUS / "kubernetes").glob("*.yaml")}


def test_init_containers_of_a_pipeline_come_after_ours() -> None:
    made = pod_of(of_corpus("kubernetes/init_container"), "exec-print-greeting")
    names = [container["name"] for container in made["spec"]["initContainers"]]
    assert names == ["penstock-stage-in", "penstock-stage-out", "prepare-data"]


def test_a_name_comes_through_a_loop() -> None:
    graph = of_corpus("parallel_and_nested/parallel_for_mount_pvc")
    given = {"pipelinechannel--createpvc-name": "made", "pipelinechannel--loop-item-param-1": "a"}
    assert settings_of(graph, "exec-example-component", given=given).claims == ("made",)


@pytest.mark.parametrize(
    ("file", "label", "given", "part"),
    [
        ("general/pvc_mount", "exec-producer", {"pvc_name": "c"}, "c"),
        ("general/pipeline_with_secret_as_volume", "exec-comp", {"secret_param": "s"}, "s"),
    ],
)
def test_a_name_comes_from_an_input_of_the_dag(file: str, label: str, given: Fragment, part: str) -> None:
    graph = of_corpus(file)
    assert part in [volume["name"] for volume in settings_of(graph, label, given=given).volumes]
    assert part not in [volume["name"] for volume in settings_of(graph, label).volumes]


@pytest.mark.parametrize("source", ["pipeline_input", "task_output"])
def test_resources_come_from_inputs_of_any_name(source: str) -> None:
    graph = of_corpus(f"general/pipeline_with_string_machine_fields_{source}")
    label = next(
        label for label in ("exec-sum-numbers", "exec-sum_numbers", "exec-training-op") if f"'{label}'" in repr(graph)
    )
    given = {
        "cpu_limit": "4000m",
        "memory_limit": "15G",
        "accelerator_type": "nvidia.com/gpu",
        "accelerator_limit": "1",
    }
    settings = settings_of(graph, label, given=given, made={"Output": "1"})
    expected = given if source == "pipeline_input" else dict.fromkeys(given, "1")
    assert settings.resources == {
        "limits": {
            "cpu": expected["cpu_limit"],
            "memory": expected["memory_limit"],
            expected["accelerator_type"]: expected["accelerator_limit"],
        }
    }
