"""What `kubectl apply -k` brings about is what the other tests install, with what the guide lets users change."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.kubernetes.guide import guide
from tests.kubernetes.installation import MANIFESTS, SERVERS, documents
from tests.kubernetes.kubectl import kubectl

pytestmark = pytest.mark.kubernetes


def named(listed: list[dict[str, object]]) -> dict[tuple[object, object], dict[str, object]]:
    return {(each["kind"], each["metadata"]["name"]): each for each in listed}  # type: ignore[index]  # plain JSON


def test_the_kustomization_has_every_manifest_and_nothing_else() -> None:
    built = list(yaml.safe_load_all(kubectl("kustomize", str(MANIFESTS))))
    plain = [each for path in sorted(MANIFESTS.glob("[!k]*.yaml")) for each in yaml.safe_load_all(path.read_text())]
    assert named(built) == named(plain)
    assert len(built) == len(documents(SERVERS))


def test_the_guides_kustomization_names_the_image_and_takes_settings_of_ones_own(tmp_path: Path) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "kubernetes")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(guide("yaml", "apiVersion: kustomize"))
    (mine / "settings.yaml").write_text((MANIFESTS / "settings.yaml").read_text().replace("s3://penstock", "s3://mine"))
    built = named(list(yaml.safe_load_all(kubectl("kustomize", str(mine)))))
    pod = built["Deployment", "penstock-server"]["spec"]["template"]["spec"]  # type: ignore[index]  # plain JSON
    images = {each["image"] for each in (*pod["initContainers"], *pod["containers"])}
    assert images == {"REGISTRY/penstock-server:0.1.0"}
    settings = built["ConfigMap", "penstock-settings"]["data"]["penstock.toml"]  # type: ignore[index]  # plain JSON
    assert 'artifacts_url = "s3://mine"' in settings


def test_the_guides_patch_mounts_a_shared_volume_in_the_servers(tmp_path: Path) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "kubernetes")
    mine = tmp_path / "mine"
    mine.mkdir()
    kustomization = guide("yaml", "apiVersion: kustomize").replace("settings.yaml", "volume.yaml")
    (mine / "kustomization.yaml").write_text(kustomization)
    (mine / "volume.yaml").write_text(guide("yaml", "apiVersion: apps/v1\nkind: Deployment"))
    built = named(list(yaml.safe_load_all(kubectl("kustomize", str(mine)))))
    pod = built["Deployment", "penstock-server"]["spec"]["template"]["spec"]  # type: ignore[index]  # plain JSON
    [server] = pod["containers"]
    assert {each["name"] for each in server["volumeMounts"]} == {"settings", "data", "tmp", "artifacts"}
    assert {each["name"] for each in pod["volumes"]} == {"settings", "data", "tmp", "artifacts"}


def test_the_guides_line_renames_the_namespaces_everywhere(tmp_path: Path) -> None:
    copied = shutil.copytree(MANIFESTS, tmp_path / "deploy" / "kubernetes")
    subprocess.run(["sh", "-c", guide("sh", "sed -i")], cwd=tmp_path, check=True)
    built = list(yaml.safe_load_all(kubectl("kustomize", str(copied))))
    assert {each["metadata"]["name"] for each in built if each["kind"] == "Namespace"} == {"SERVERS", "STEPS"}
    spaces = [each["metadata"].get("namespace") for each in built]
    subjects = [subject["namespace"] for each in built for subject in each.get("subjects", ())]
    assert {*spaces, *subjects} == {"SERVERS", "STEPS", None}
    assert {each["metadata"]["name"] for each in built if "Cluster" in each["kind"]} == {"SERVERS-nodes"}
    settings = named(built)["ConfigMap", "penstock-settings"]["data"]["penstock.toml"]  # type: ignore[index]  # plain JSON
    assert 'kubernetes_namespace = "STEPS"' in settings
