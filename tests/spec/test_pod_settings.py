"""What a pipeline says of a step's pod, resolved; what no pod could have is told by its field."""

from typing import Any

import pytest

from penstock_server.model.errors import InvalidArgument
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.graph import Dag, PipelineGraph
from penstock_server.spec.pod_settings import PodSettings
from penstock_server.spec.resolve import ResolutionError
from tests.spec.pods import configured_document, settings_of

Ir = dict[str, Any]
GIVEN = {"componentInputParameter": "given"}
MADE = {"taskOutputParameter": {"producerTask": "s0", "outputParameterKey": "made"}}
REQUIRED, PREFERRED = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))


def configured(kubernetes: Ir | None = None, penstock: Ir | None = None, **container: Any) -> PipelineGraph:
    """The graph of a pipeline whose step `s1` after `s0` has these settings."""
    return compile_pipeline(configured_document(kubernetes, penstock, **container))


def asked(kubernetes: Ir | None = None, penstock: Ir | None = None, given: Any = None, made: Any = None) -> PodSettings:
    values = {} if made is None else {"made": made}
    return settings_of(configured(kubernetes, penstock), "exec-set", given={"given": given}, made=values)


LABELS = {"matchPodLabels": {"app": "db"}, "topologyKey": "zone"}
APP = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone"}
TOLERATION = {"key": "gpu", "operator": "Exists"}
APPLIED: list[tuple[Ir, Any, Any, Ir]] = [
    ({"podAffinity": [LABELS]}, None, None, {"affinity": {"podAffinity": {REQUIRED: [APP]}}}),
    (
        {"podAffinity": [{**LABELS, "anti": True, "weight": 7.0, "namespaces": ["n"]}]},
        None,
        None,
        {
            "affinity": {
                "podAntiAffinity": {PREFERRED: [{"weight": 7, "podAffinityTerm": {**APP, "namespaces": ["n"]}}]}
            }
        },
    ),
    (
        {"enabledSharedMemory": {"volumeName": "memory", "size": "2Gi"}},
        None,
        None,
        {
            "volumes": ({"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},),
            "volume_mounts": ({"name": "memory", "mountPath": "/dev/shm"},),
        },
    ),
    ({"tolerations": [{"tolerationJson": GIVEN}]}, TOLERATION, None, {"tolerations": (TOLERATION,)}),
    ({"tolerations": [{"tolerationJson": GIVEN}]}, None, None, {"tolerations": ()}),
    ({"tolerations": [{"tolerationJson": GIVEN}]}, {}, None, {"tolerations": ()}),
    (
        {"nodeSelector": {"labels": {"a": "b"}, "nodeSelectorJson": GIVEN}},
        {"c": 1},
        None,
        {"node_selector": {"c": "1"}},
    ),
    ({"nodeSelector": {"nodeSelectorJson": GIVEN}}, None, None, {"node_selector": {}}),
    (
        {"nodeAffinity": [{"nodeAffinityJson": GIVEN}]},
        {REQUIRED: {"nodeSelectorTerms": [{"matchFields": []}]}},
        None,
        {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": []}]}}}},
    ),
    ({"imagePullSecret": [{"secretNameParameter": MADE}]}, None, "pull", {"image_pull_secrets": ("pull",)}),
    ({"imagePullSecret": [{"secretNameParameter": MADE}]}, None, None, {"image_pull_secrets": ()}),
    ({"imagePullPolicy": "Always"}, None, None, {"image_pull_policy": "Always"}),
    (
        {"podMetadata": {"labels": {"team": "ml"}, "annotations": {"note": "any text"}}},
        None,
        None,
        {"labels": {"team": "ml"}, "annotations": {"note": "any text"}},
    ),
    (
        {"pvcMount": [{"constant": "c", "mountPath": "/a"}, {"constant": "c", "mountPath": "/b", "subPath": "x"}]},
        None,
        None,
        {
            "volumes": ({"name": "c", "persistentVolumeClaim": {"claimName": "c"}},),
            "volume_mounts": ({"name": "c", "mountPath": "/a"}, {"name": "c", "mountPath": "/b", "subPath": "x"}),
        },
    ),
]


@pytest.mark.parametrize(("settings", "given", "made", "expected"), APPLIED, ids=str)
def test_a_setting_is_applied(settings: Ir, given: Any, made: Any, expected: Ir) -> None:
    found = asked(settings, given=given, made=made)
    assert {name: getattr(found, name) for name in expected} == expected


def test_volumes_that_would_have_one_name_get_two() -> None:
    found = asked(
        {
            "secretAsVolume": [{"secretName": "x", "mountPath": "/s"}],
            "configMapAsVolume": [{"configMapName": "x", "mountPath": "/c"}],
        }
    )
    names = [volume["name"] for volume in found.volumes]
    assert names[0] == "x"
    assert len(set(names)) == 2
    assert [mount["name"] for mount in found.volume_mounts] == names


@pytest.mark.parametrize("name", ["with.dot", "penstock-step", "x" * 200])
def test_a_volume_has_a_name_that_volumes_can_have(name: str) -> None:
    (volume,) = asked({"secretAsVolume": [{"secretName": name, "mountPath": "/s"}]}).volumes
    assert len(str(volume["name"])) <= 63
    assert "." not in str(volume["name"])
    assert not str(volume["name"]).startswith("penstock-")
    assert volume["secret"] == {"secretName": name, "optional": False}


def test_resources_have_any_name_and_come_from_anywhere() -> None:
    penstock: Ir = {
        "resources": {
            "limits": {"nvidia.com/mig-1g.5gb": MADE, "ephemeral-storage": "10Gi", "example.com/none": GIVEN},
            "requests": {"hugepages-2Mi": "4Mi"},
        }
    }
    assert asked(None, penstock, made="2").resources == {
        "limits": {"nvidia.com/mig-1g.5gb": "2", "ephemeral-storage": "10Gi"},
        "requests": {"hugepages-2Mi": "4Mi"},
    }


KUBERNETES = "platforms.kubernetes.deploymentSpec.executors.exec-set"
WRONG: list[tuple[Ir, str]] = [
    ({"secretAsEnv": 1}, "secretAsEnv"),
    ({"secretAsEnv": [1]}, "secretAsEnv[0]"),
    ({"secretAsEnv": [{"keyToEnv": []}]}, "secretAsEnv[0].secretName"),
    ({"secretAsEnv": [{"secretName": "s", "keyToEnv": [1]}]}, "secretAsEnv[0].keyToEnv[0]"),
    ({"secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k"}]}]}, "secretAsEnv[0].keyToEnv[0].envVar"),
    ({"secretAsVolume": [{"secretName": "../etc", "mountPath": "/a"}]}, "secretAsVolume[0].secretName"),
    ({"secretAsVolume": [{"secretName": "s"}]}, "secretAsVolume[0].mountPath"),
    ({"secretAsVolume": [{"secretName": "s", "mountPath": "/a:/b"}]}, "secretAsVolume[0].mountPath"),
    ({"secretAsVolume": [{"secretName": "s", "mountPath": "/penstock/outputs"}]}, "secretAsVolume[0].mountPath"),
    ({"secretAsVolume": [{"secretName": "s", "mountPath": "/a", "optional": "no"}]}, "secretAsVolume[0].optional"),
    ({"configMapAsVolume": [{"configMapNameParameter": {}, "mountPath": "/a"}]}, "configMapNameParameter"),
    ({"pvcMount": [{"constant": "c", "mountPath": "/a", "subPath": "../b"}]}, "pvcMount[0].subPath"),
    ({"pvcMount": [{"mountPath": "/a"}]}, "pvcMount[0]"),
    ({"emptyDirMounts": [{"volumeName": "v", "mountPath": "/a", "sizeLimit": "big"}]}, "emptyDirMounts[0].sizeLimit"),
    ({"emptyDirMounts": [{"volumeName": "v", "mountPath": "/a", "medium": "Disk"}]}, "emptyDirMounts[0].medium"),
    ({"genericEphemeralVolume": [{"volumeName": "v", "mountPath": "/a", "accessModes": ["ReadWriteOnce"]}]}, "size"),
    ({"genericEphemeralVolume": [{"volumeName": "v", "mountPath": "/a", "size": "1Gi"}]}, "accessModes"),
    ({"nodeSelector": "x"}, "nodeSelector"),
    ({"nodeSelector": {"labels": {"a b": "c"}}}, "nodeSelector.labels.a b"),
    ({"nodeSelector": {"labels": {"a": 1}}}, "nodeSelector.labels.a"),
    ({"tolerations": [{"tolerationSeconds": "soon"}]}, "tolerations[0].tolerationSeconds"),
    ({"tolerations": [{"tolerationJson": {"runtimeValue": {"constant": [1]}}}]}, "tolerations[0].tolerationJson"),
    ({"nodeAffinity": [{"matchExpressions": [{"operator": "In"}]}]}, "nodeAffinity[0].matchExpressions[0].key"),
    ({"nodeAffinity": [{"nodeAffinityJson": {"runtimeValue": {"constant": "x"}}}]}, "nodeAffinity[0].nodeAffinityJson"),
    ({"podAffinity": [{"matchPodLabels": {"a": "b"}}]}, "podAffinity[0].topologyKey"),
    ({"podMetadata": {"labels": {"penstock.dev/run": "x"}}}, "podMetadata.labels.penstock.dev/run"),
    ({"podMetadata": {"labels": {"a": "not a label"}}}, "podMetadata.labels.a"),
    ({"podMetadata": {"annotations": {"penstock.dev/fence": "0"}}}, "podMetadata.annotations.penstock.dev/fence"),
    ({"imagePullPolicy": "Sometimes"}, "imagePullPolicy"),
    ({"securityContext": {"runAsUser": "0", "runAsNonRoot": True}}, "securityContext.runAsUser"),
    ({"securityContext": {"runAsUser": "root"}}, "securityContext.runAsUser"),
    ({"securityContext": {"runAsUser": True}}, "securityContext.runAsUser"),
    ({"initContainers": [{"name": "main", "image": "x"}]}, "initContainers[0].name"),
    ({"initContainers": [{"name": "penstock-stage-out", "image": "x"}]}, "initContainers[0].name"),
    ({"initContainers": [{"name": "a"}]}, "initContainers[0].image"),
    ({"initContainers": [{"name": "a", "image": "x"}] * 2}, "initContainers"),
    ({"fieldPathAsEnv": [{"name": "A=B", "fieldPath": "metadata.name"}]}, "fieldPathAsEnv[0].name"),
]


@pytest.mark.parametrize(("settings", "path"), WRONG, ids=[f"{path}-{i}" for i, (_, path) in enumerate(WRONG)])
def test_what_no_pod_could_have_is_refused_by_its_field(settings: Ir, path: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        configured(settings)
    (violation, *_) = refused.value.violations
    assert violation.field.startswith(KUBERNETES)
    assert path in violation.field


@pytest.mark.parametrize(
    ("container", "penstock", "field"),
    [
        ({"resources": {"resourceCpuLimit": "many"}}, None, "exec-set.container.resources.limits.cpu"),
        ({}, {"resources": {"limits": {"nvidia.com/gpu": "-1"}}}, "exec-set.resources.limits.nvidia.com/gpu"),
        ({}, {"resources": {"limits": {"a b": "1"}}}, "exec-set.resources.limits.a b"),
    ],
)
def test_resources_that_are_no_quantities_are_refused(container: Ir, penstock: Ir | None, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        configured(None, penstock, **container)
    assert refused.value.violations[0].field.endswith(field)


@pytest.mark.parametrize(
    ("settings", "given", "made", "path"),
    [
        ({"tolerations": [{"tolerationJson": GIVEN}]}, [1], None, "tolerations[0].tolerationJson"),
        ({"nodeSelector": {"nodeSelectorJson": GIVEN}}, {"a": "b c"}, None, "nodeSelector.nodeSelectorJson.a"),
        ({"nodeAffinity": [{"nodeAffinityJson": GIVEN}]}, ["x"], None, "nodeAffinity[0].nodeAffinityJson"),
        ({"secretAsVolume": [{"secretNameParameter": MADE, "mountPath": "/a"}]}, None, "Not/A Name", "secretName"),
    ],
)
def test_what_comes_at_run_time_and_is_wrong_fails_the_task(settings: Ir, given: Any, made: Any, path: str) -> None:
    with pytest.raises(ResolutionError, match="s1") as raised:
        asked(settings, given=given, made=made)
    assert raised.value.reason == "SETTING_INVALID"
    assert path in raised.value.message


@pytest.mark.parametrize(
    ("kubernetes", "penstock"),
    [
        ({"pvcMount": [{"pvcNameParameter": MADE, "mountPath": "/a"}]}, None),
        (None, {"resources": {"limits": {"nvidia.com/gpu": MADE}}}),
    ],
)
def test_a_step_waits_for_what_its_settings_are_made_by(kubernetes: Ir | None, penstock: Ir | None) -> None:
    document = configured_document(kubernetes, penstock)
    tasks: Any = document.pipeline["root"]["dag"]["tasks"]  # type: ignore[index,call-overload]  # it is an object
    del tasks["s1"]["dependentTasks"]
    root = compile_pipeline(document).root.body
    assert isinstance(root, Dag)
    assert root.tasks["s1"].depends_on == {"s0"}
    assert root.dependents["s0"] == ("s1",)


def test_a_volume_is_mounted_once_at_a_path() -> None:
    settings = {"emptyDirMounts": [{"volumeName": name, "mountPath": "/a/"} for name in ("v", "w")]}
    with pytest.raises(InvalidArgument, match="/a"):
        configured(settings)
