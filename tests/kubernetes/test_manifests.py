"""What `kubectl apply -k deploy/kubernetes` brings about is what the other tests install."""

import pytest
import yaml

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
