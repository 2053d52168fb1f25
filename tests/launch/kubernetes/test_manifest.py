"""What is in a pod: ours around the user's, which is as the user made it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes.frame import Frame, Stage
from penstock_server.launch.kubernetes.manifest import pod_manifest
from penstock_server.launch.kubernetes.places import places
from penstock_server.launch.kubernetes.plans import stage_plan
from penstock_server.launch.kubernetes.policy import PodError
from penstock_server.launch.kubernetes.records import Records
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.graph import Component, Constant, Importer, ParameterType
from penstock_server.spec.pod_settings import PodSettings
from penstock_server.store.records import StoredRecords
from tests.launch.world import FACTS, attempt_id, component, step

Pod = dict[str, Any]
FRAME = Frame("here", Stage("penstock:1", secrets=("store",)), grace_s=45, long_grace_s=900)
PLAN = {"PENSTOCK_PLAN": '{"a": "$(b)"}'}


def pod(request: StepRequest, frame: Frame = FRAME) -> Pod:
    return pod_manifest(request, PLAN, frame, "steps")


def by_name(listed: list[Pod]) -> dict[str, Pod]:
    return {item["name"]: item for item in listed}


def main_of(made: Pod) -> Pod:
    (container,) = made["spec"]["containers"]
    return container  # type: ignore[no-any-return]  # a pod is plain JSON


def test_a_pod_is_ours_around_the_users() -> None:
    made = pod(step("train", of=component(["train"], ["--fast"], image="train:3")))
    assert made["metadata"]["namespace"] == "steps"
    assert list(by_name(made["spec"]["initContainers"])) == ["penstock-stage-in", "penstock-stage-out"]
    assert made["spec"]["initContainers"][1]["restartPolicy"] == "Always"
    main = main_of(made)
    assert (main["name"], main["image"], main["command"], main["args"]) == ("main", "train:3", ["train"], ["--fast"])
    spec = made["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 45
    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False
    assert "activeDeadlineSeconds" not in spec


@pytest.mark.parametrize(
    ("of", "grace_s"),
    [
        (component(outputs={"loss": ParameterType.NUMBER_DOUBLE}), 45),
        (component(output_artifacts=["model"]), 900),
        (
            replace(
                component(output_artifacts=["data"]),
                body=Importer("exec-import", Constant("s3://b/x"), "", "", {}, False, False),
            ),
            45,
        ),
    ],
    ids=["parameters", "artifacts", "imported"],
)
def test_only_a_further_pod_that_stores_artifacts_may_take_long_to_end(of: Component, grace_s: int) -> None:
    assert pod(step(of=of))["spec"]["terminationGracePeriodSeconds"] == 45
    request = step(of=of, attempt=attempt_id(number=2))
    assert pod(request)["spec"]["terminationGracePeriodSeconds"] == grace_s
    assert (
        stage_plan(request, Records(StoredRecords.in_folder(Path("/store")), "file:///store"), FRAME).grace_s == grace_s
    )


def test_no_attempt_has_less_time_than_the_first() -> None:
    again = step(of=component(output_artifacts=["model"]), attempt=attempt_id(number=2))
    assert pod(again, replace(FRAME, long_grace_s=10))["spec"]["terminationGracePeriodSeconds"] == 45


def test_the_same_request_gives_the_same_pod() -> None:
    request = step("true")
    assert pod(request) == pod(request)


def test_a_step_without_command_has_its_images_entrypoint() -> None:
    main = main_of(pod(step(of=component([], ["--fast"], image="scratch:1"))))
    assert "command" not in main
    assert main["args"] == ["--fast"]


def test_places_are_below_the_shared_folder() -> None:
    of = component(
        ["cp"],
        [
            "{{$.inputs.artifacts['data'].path}}",
            "{{$.outputs.artifacts['model'].path}}",
            "{{$.outputs.parameters['n'].output_file}}",
        ],
        input_artifacts=["data"],
        outputs={"n": ParameterType.STRING},
        output_artifacts=["model"],
    )
    data = ArtifactValue("data", "system.Dataset", "file:///nowhere/x")
    request = step(of=of, inputs=TaskValues({}, {"data": (data,)}))
    expected = ["/penstock/inputs/data.0", "/penstock/outputs/model", "/penstock/parameters/n"]
    assert main_of(pod(request))["args"] == expected
    elsewhere = replace(data, uri="s3://bucket/x")
    assert main_of(pod(step(of=of, inputs=TaskValues({}, {"data": (elsewhere,)}))))["args"][0] == "s3://bucket/x"


@pytest.mark.parametrize("text", ["$(HOME)", "$$", "$$(HOME)", "a$b", "$", "$(", "x$$$(Y)$"])
def test_kubernetes_hands_texts_on_as_they_are(text: str) -> None:
    made = pod(step("echo", of=component(["echo"], [text]), env={"A": text}))
    assert expanded(main_of(made)["args"][0]) == text
    assert expanded(by_name(main_of(made)["env"])["A"]["value"]) == text


def expanded(text: str) -> str:
    """As Kubernetes does it for an environment in which every variable is EXPANDED."""
    found, rest = "", text
    while "$" in rest[:-1]:
        before, _, rest = rest.partition("$")
        found += before
        if rest.startswith("$"):
            found, rest = f"{found}$", rest[1:]
        elif rest.startswith("(") and ")" in rest:
            found, rest = f"{found}EXPANDED", rest.partition(")")[2]
        else:
            found, rest = f"{found}${rest[0]}", rest[1:]
    return found + rest


def test_only_our_containers_reach_the_store() -> None:
    made = pod(step("true"))
    for container in made["spec"]["initContainers"]:
        assert container["envFrom"] == [{"secretRef": {"name": "store"}}]
        assert expanded(by_name(container["env"])["PENSTOCK_PLAN"]["value"]) == PLAN["PENSTOCK_PLAN"]
    assert "envFrom" not in main_of(made)
    assert "PENSTOCK_PLAN" not in by_name(main_of(made)["env"])


def test_a_shared_folder_as_store_is_mounted_in_our_containers_alone() -> None:
    stage = Stage("penstock:1", store_path="/srv/store", store_volume={"hostPath": {"path": "/srv/store"}})
    made = pod(step("true"), Frame("here", stage))
    mount = {"name": "penstock-store", "mountPath": "/srv/store"}
    assert {"name": "penstock-store", "hostPath": {"path": "/srv/store"}} in made["spec"]["volumes"]
    assert all(mount in container["volumeMounts"] for container in made["spec"]["initContainers"])
    assert mount not in main_of(made)["volumeMounts"]


@pytest.mark.parametrize(
    ("user", "capabilities"),
    [(0, {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}), (65532, {"drop": ["ALL"]})],
)
def test_our_containers_may_do_little(user: int, capabilities: Pod) -> None:
    made = pod(step("true"), Frame("here", Stage("penstock:1", user=user)))
    for container in made["spec"]["initContainers"]:
        assert container["securityContext"] == {
            "runAsUser": user,
            "runAsNonRoot": user != 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": capabilities,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    assert "securityContext" not in main_of(made)


def test_a_step_learns_its_pod_and_its_own_variables_go_over_ours() -> None:
    settings = PodSettings(env=({"name": "A", "value": "own"},))
    request = replace(step("true", env={"KFP_RETRY_INDEX": "0", "A": "ours"}), settings=settings)
    assert main_of(pod(request))["env"] == [
        {"name": "PYTHONUNBUFFERED", "value": "1"},
        {"name": "KFP_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "KFP_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": "KFP_RETRY_INDEX", "value": "0"},
        {"name": "A", "value": "own"},
    ]


def test_a_step_may_have_pythons_that_gather_what_they_print() -> None:
    request = replace(step("true"), settings=PodSettings(env=({"name": "PYTHONUNBUFFERED", "value": ""},)))
    assert by_name(main_of(pod(request))["env"])["PYTHONUNBUFFERED"] == {"name": "PYTHONUNBUFFERED", "value": ""}


def test_the_folders_that_kfp_promises_can_be_written_to() -> None:
    made = pod(step("true"))
    paths = {mount["mountPath"] for mount in main_of(made)["volumeMounts"]}
    assert paths == {"/penstock", "/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config"}
    assert {volume["name"] for volume in made["spec"]["volumes"]} == {
        mount["name"] for mount in main_of(made)["volumeMounts"]
    }


def test_a_volume_of_the_pipeline_goes_over_a_folder_of_ours() -> None:
    settings = PodSettings(
        volumes=({"name": "cache", "emptyDir": {}},), volume_mounts=({"name": "cache", "mountPath": "/.cache/"},)
    )
    made = pod(replace(step("true"), settings=settings))
    assert [m["name"] for m in main_of(made)["volumeMounts"] if m["mountPath"].startswith("/.cache")] == ["cache"]
    assert "penstock-scratch-cache" not in by_name(made["spec"]["volumes"])


@pytest.mark.parametrize(("text", "mounted"), [("/kfp-workspace/a", True), ("/elsewhere", False)])
def test_the_workspace_is_mounted_where_a_step_names_it(text: str, mounted: bool) -> None:
    made = pod(step("cat", text, has_workspace=True))
    claim = {"claimName": "run-1-" + made["metadata"]["labels"]["penstock.dev/run"][:8] + "-kfp-workspace"}
    volume = {"name": "penstock-workspace", "persistentVolumeClaim": claim}
    assert (volume in made["spec"]["volumes"]) is mounted
    assert ({"name": "penstock-workspace", "mountPath": "/kfp-workspace"} in main_of(made)["volumeMounts"]) is mounted


def test_an_account_that_the_run_asks_for_comes_with_its_token() -> None:
    spec = pod(replace(step("true"), facts=replace(FACTS, service_account="trainer")))["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("trainer", True)


def test_a_time_limit_is_the_pods() -> None:
    assert pod(step("true", timeout_s=2.5))["spec"]["activeDeadlineSeconds"] == 13


def test_labels_and_annotations_of_ours_go_over_the_pipelines() -> None:
    labels = {"a": "b", "pipeline/runid": "x", "app.kubernetes.io/managed-by": "x"}
    settings = PodSettings(labels=labels, annotations={"penstock.dev/fence": "99"})
    metadata = pod(replace(step("true"), settings=settings))["metadata"]
    assert metadata["labels"]["a"] == "b"
    assert metadata["labels"]["pipeline/runid"] == metadata["labels"]["penstock.dev/run"] != "x"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "penstock"
    assert metadata["labels"]["penstock.dev/installation"] == "here"
    assert metadata["annotations"]["penstock.dev/fence"] == "1"
    assert metadata["annotations"]["pipelines.kubeflow.org/run_name"] == "a run"


@pytest.mark.parametrize(("count", "length", "word"), [(1, 140_000, "an argument of"), (20, 60_000, "together")])
def test_a_command_that_no_pod_takes_is_told(count: int, length: int, word: str) -> None:
    with pytest.raises(PodError, match=word) as raised:
        pod(step("true", *(["x" * length] * count)))
    assert raised.value.reason == "COMMAND_INVALID"


def test_the_pod_of_an_importer_has_nothing_to_run_but_ours() -> None:
    importer = Importer("exec-import", Constant("s3://bucket/x"), "system.Dataset", "0.0.1", {}, False, True)
    data = ArtifactValue("artifact", "system.Dataset", "s3://bucket/x")
    of = replace(component(), body=importer)
    request = replace(step(of=of, inputs=TaskValues({}, {"artifact": (data,)}), has_workspace=True))
    made = pod(request)
    main = main_of(made)
    assert (main["name"], main["image"], main["command"]) == ("main", "penstock:1", ["penstock-agent", "nothing"])
    assert not {"env", "envFrom", "volumeMounts"} & main.keys()
    workspace = {"name": "penstock-workspace", "mountPath": "/kfp-workspace"}
    assert all(workspace in container["volumeMounts"] for container in made["spec"]["initContainers"])
    assert places(request).fetches == (("s3://bucket/x", "/kfp-workspace/.artifacts/s3/bucket/x"),)
