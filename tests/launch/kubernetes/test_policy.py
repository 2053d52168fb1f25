"""What a namespace's policy makes of a pod: defaults, bounds, a base pod; what it denies is told with its rule."""

from dataclasses import replace
from typing import Any

import pytest

from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes.manifest import pod_manifest
from penstock_server.launch.kubernetes.policy import PodError, PodPolicy, Policies
from penstock_server.launch.kubernetes.policy_file import PolicyError, read_policies
from penstock_server.launch.kubernetes.quantities import quantity
from penstock_server.spec.pod_settings import PodSettings
from tests.launch.kubernetes.test_manifest import FRAME, PLAN, by_name, main_of
from tests.launch.world import FACTS, component, step

Fragment = dict[str, Any]


def policy(text: str) -> PodPolicy:
    """The policy of the namespace `default` in a file with these lines below its name."""
    return read_policies(f"[namespaces.default]\n{text}").of("default")


def pod(request: StepRequest, text: str) -> Fragment:
    return pod_manifest(request, PLAN, replace(FRAME, policies=Policies(policy(text))), "steps")


def asking(image: str = "python:3.11", account: str = "", **settings: Any) -> StepRequest:
    request = step(of=component(["true"], image=image))
    return replace(request, settings=PodSettings(**settings), facts=replace(FACTS, service_account=account))


def limits(kind: str = "limits", **values: str) -> Fragment:
    return {kind: values}


INIT = {"name": "prepare", "image": "evil:1"}
DENIED: list[tuple[str, StepRequest, str]] = [
    ('images = ["ghcr.io/acme/*"]', asking("docker.io/evil:1"), "images: the image 'docker.io/evil:1' of main"),
    ('images = ["python:*"]', asking(init_containers=(INIT,)), "images: the image 'evil:1' of prepare"),
    ("images = []", asking(), "images"),
    ('service_accounts = ["steps"]', asking(account="admin"), "service_accounts: the service account 'admin'"),
    ("service_accounts = []", asking(account="admin"), "service_accounts"),
    ('max_limits = {memory = "1Gi"}', asking(resources=limits(memory="1025Mi")), "max_limits.memory: the step asks"),
    ('max_limits = {memory = "1Gi"}', asking(resources=limits("requests", memory="2Gi")), "max_limits.memory"),
    ('max_requests = {cpu = "500m"}', asking(resources=limits("requests", cpu="0.6")), "max_requests.cpu"),
    ('max_limits = {"nvidia.com/gpu" = "0"}', asking(resources={"limits": {"nvidia.com/gpu": "1"}}), "nvidia.com/gpu"),
    (
        'max_limits = {cpu = "1"}',
        asking(init_containers=({"name": "prepare", "image": "x", "resources": {"limits": {"cpu": "2"}}},)),
        "max_limits.cpu: the container prepare",
    ),
]


@pytest.mark.parametrize(("text", "request_", "rule"), DENIED, ids=[rule for _, _, rule in DENIED])
def test_what_is_not_allowed_is_denied_by_the_rules_name(text: str, request_: StepRequest, rule: str) -> None:
    with pytest.raises(PodError) as raised:
        pod(request_, text)
    assert raised.value.reason == "POLICY_DENIED"
    assert "namespace default" in raised.value.message
    assert f"rule {rule}" in raised.value.message or rule in raised.value.message


ALLOWED: list[tuple[str, StepRequest]] = [
    ("images = []", asking(FRAME.stage.image)),
    ('images = ["ghcr.io/acme/*", "python:3.*"]', asking()),
    ('service_accounts = ["steps"]', asking(account="steps")),
    ('service_accounts = []\nservice_account = "steps"', asking(account="steps")),
    ('max_limits = {memory = "1Gi"}', asking(resources=limits(memory="1024Mi"))),
    ('max_limits = {cpu = "1"}', asking(resources=limits(cpu="1000m"))),
]


@pytest.mark.parametrize(("text", "request_"), ALLOWED, ids=[text for text, _ in ALLOWED])
def test_what_is_allowed_is_made(text: str, request_: StepRequest) -> None:
    assert pod(request_, text)["kind"] == "Pod"


RESOURCES: list[tuple[str, Fragment, Fragment]] = [
    ('default_requests = {cpu = "100m"}', {}, {"requests": {"cpu": "100m"}}),
    ('default_requests = {cpu = "100m"}', limits("requests", cpu="1"), {"requests": {"cpu": "1"}}),
    (
        'default_requests = {memory = "1Gi"}',
        limits(memory="100Mi"),
        {"limits": {"memory": "100Mi"}, "requests": {"memory": "100Mi"}},
    ),
    ('default_limits = {memory = "1Gi"}', {}, {"limits": {"memory": "1Gi"}}),
    (
        'default_limits = {memory = "1Gi"}',
        limits("requests", memory="2Gi"),
        {"limits": {"memory": "2Gi"}, "requests": {"memory": "2Gi"}},
    ),
    ('max_limits = {memory = "4Gi", "nvidia.com/gpu" = "2"}', {}, {"limits": {"memory": "4Gi"}}),
    ('max_limits = {memory = "4Gi"}\ndefault_limits = {memory = "1Gi"}', {}, {"limits": {"memory": "1Gi"}}),
]


@pytest.mark.parametrize(("text", "asked", "expected"), RESOURCES, ids=str)
def test_a_container_gets_the_resources_that_it_says_nothing_of(text: str, asked: Fragment, expected: Fragment) -> None:
    made = pod(asking(resources=asked), text)
    assert main_of(made)["resources"] == expected
    for container in made["spec"]["initContainers"]:
        assert container["resources"] == {"requests": {"cpu": "10m", "memory": "64Mi"}}


@pytest.mark.parametrize(("account", "token"), [("", False), ("trainer", True)])
def test_a_run_without_a_service_account_gets_the_policys_without_its_token(account: str, token: bool) -> None:
    spec = pod(asking(account=account), 'service_account = "steps"')["spec"]
    assert spec["serviceAccountName"] == (account or "steps")
    assert spec["automountServiceAccountToken"] is token


TEMPLATE = """
[namespaces.default.template.metadata]
labels = {team = "ml"}
annotations = {"sidecar.istio.io/inject" = "false"}
[namespaces.default.template.spec]
priorityClassName = "batch"
runtimeClassName = "gvisor"
nodeSelector = {pool = "ml"}
tolerations = [{key = "ml", operator = "Exists"}]
imagePullSecrets = [{name = "registry"}]
volumes = [{name = "certificates", configMap = {name = "ca"}}]
[[namespaces.default.template.spec.containers]]
name = "main"
env = [{name = "https_proxy", value = "http://proxy:3128"}, {name = "A", value = "template"}]
volumeMounts = [{name = "certificates", mountPath = "/etc/ssl/own"}]
securityContext = {runAsNonRoot = true, runAsUser = 1000}
"""


def test_a_pod_stands_on_its_template() -> None:
    made = pod(
        asking(
            labels={"team": "other", "mine": "yes"},
            node_selector={"pool": "other", "disk": "ssd"},
            tolerations=({"key": "gpu"},),
            image_pull_secrets=("own", "registry"),
            env=({"name": "A", "value": "step"},),
            security_context={"runAsUser": 0, "runAsGroup": 7},
        ),
        TEMPLATE,
    )
    spec, main = made["spec"], main_of(made)
    assert {"team": "ml", "mine": "yes"}.items() <= made["metadata"]["labels"].items()
    assert made["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("batch", "gvisor")
    assert spec["nodeSelector"] == {"pool": "ml", "disk": "ssd"}
    assert spec["tolerations"] == [{"key": "ml", "operator": "Exists"}, {"key": "gpu"}]
    assert spec["imagePullSecrets"] == [{"name": "registry"}, {"name": "own"}]
    assert "certificates" in by_name(spec["volumes"])
    assert "penstock-step" in by_name(spec["volumes"])
    assert by_name(main["env"])["https_proxy"]["value"] == "http://proxy:3128"
    assert by_name(main["env"])["A"]["value"] == "step"
    assert {"name": "certificates", "mountPath": "/etc/ssl/own"} in main["volumeMounts"]
    assert main["securityContext"] == {"runAsUser": 1000, "runAsGroup": 7, "runAsNonRoot": True}
    for container in spec["initContainers"]:
        assert container["securityContext"]["runAsUser"] == 0
        assert "https_proxy" not in by_name(container["env"])


def test_the_security_context_of_a_template_holds_for_the_pipelines_init_containers_too() -> None:
    """A pipeline could run as root there otherwise, and none with init containers would fit a restricted namespace."""
    template = """
[[template.spec.containers]]
name = "main"
env = [{name = "A", value = "1"}]
securityContext = {runAsNonRoot = true, runAsUser = 1000}
[[template.spec.initContainers]]
name = "mine"
"""
    given = ({**INIT, "securityContext": {"runAsUser": 0, "runAsGroup": 7}}, {"name": "watch", "image": "x"})
    found = pod(asking(init_containers=given), template.replace("[template", "[namespaces.default.template"))
    containers = by_name(found["spec"]["initContainers"])
    assert containers["prepare"]["securityContext"] == {"runAsUser": 1000, "runAsGroup": 7, "runAsNonRoot": True}
    assert containers["watch"] == {
        "name": "watch",
        "image": "x",
        "securityContext": {"runAsUser": 1000, "runAsNonRoot": True},
    }
    assert containers["mine"] == {"name": "mine"}
    assert containers["penstock-stage-in"]["securityContext"]["runAsUser"] == 0


def test_nodes_that_a_template_requires_are_required_beside_the_pipelines() -> None:
    required = "requiredDuringSchedulingIgnoredDuringExecution"

    def terms(*keys: str) -> Fragment:
        listed = [{"matchExpressions": [{"key": key, "operator": "Exists"}]} for key in keys]
        return {"nodeAffinity": {required: {"nodeSelectorTerms": listed}}}

    based = replace(FRAME, policies=Policies(PodPolicy(template={"spec": {"affinity": terms("ml")}})))
    made = pod_manifest(asking(affinity=terms("a", "b")), PLAN, based, "steps")
    found = made["spec"]["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"]
    assert [[expression["key"] for expression in term["matchExpressions"]] for term in found] == [
        ["ml", "a"],
        ["ml", "b"],
    ]


WRONG: list[tuple[str, str]] = [
    ("namespaces = 1", "namespaces has to be a table"),
    ("other = 1", "other is unknown"),
    ("[namespaces", "no TOML"),
    ("[namespaces.a]\nimage = []", "namespaces.a.image is unknown"),
    ('[namespaces.a]\nimages = "x"', "namespaces.a.images has to be a list"),
    ("[namespaces.a]\nimages = [1]", "namespaces.a.images[0] has to be a text"),
    ('[namespaces.a]\nmax_limits = {cpu = "much"}', "namespaces.a.max_limits.cpu"),
    ("[namespaces.a.template]\nkind = 1", "template.kind is unknown"),
    ("[namespaces.a.template.spec]\nrestartPolicy = 'Always'", "template.spec.restartPolicy cannot be set"),
    ("[namespaces.a.template.spec]\ncontainers = [{name = 'x'}]", "main alone"),
    ("[namespaces.a.template.spec]\ncontainers = [{name = 'main', image = 'x'}]", "spec.containers.main.image"),
    ("[namespaces.a.template.spec]\nvolumes = [{name = 'penstock-step'}]", "does not begin with penstock-"),
    ("[namespaces.a.template.metadata]\nlabels = {'penstock.dev/run' = 'x'}", "is Penstock's own"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_policy_that_cannot_be_is_refused_by_its_place(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as raised:
        read_policies(text)
    assert message in str(raised.value)


def test_each_namespace_has_its_own_policy_and_others_that_of_the_star() -> None:
    found = read_policies('[namespaces.a]\nservice_account = "steps"\n[namespaces."*"]\nimages = ["x"]')
    assert (found.of("a").images, found.of("b").images) == (None, ("x",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("500m", 0.5),
        ("1Ki", 1024),
        ("1.5Gi", 1610612736),
        ("1e3", 1000),
        ("2E", 2e18),
        (".5", 0.5),
        ("1k", 1000),
    ],
)
def test_a_quantity_is_a_number(text: str, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "-1", "1KI", "1e9999", "٣"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)


def test_a_volume_in_place_of_the_workspace_is_refused() -> None:
    settings = PodSettings(
        volumes=({"name": "v", "emptyDir": {}},), volume_mounts=({"name": "v", "mountPath": "kfp-workspace/x"},)
    )
    request = replace(step("cat", "/kfp-workspace/a", has_workspace=True), settings=settings)
    with pytest.raises(PodError, match="/kfp-workspace/x") as raised:
        pod_manifest(request, PLAN, FRAME, "steps")
    assert raised.value.reason == "SETTING_INVALID"
    assert pod_manifest(replace(request, has_workspace=False), PLAN, FRAME, "steps")["kind"] == "Pod"
