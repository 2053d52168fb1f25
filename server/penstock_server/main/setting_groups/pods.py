"""How steps are executed as pods."""

from dataclasses import dataclass

from penstock_server.launch.kubernetes.frame import STAGE_REQUESTS
from penstock_server.launch.kubernetes.quantities import quantity
from penstock_server.main.setting_kinds import choice, number, seconds, text, texts


def _check_namespaces(pairs: tuple[str, ...]) -> None:
    for pair in pairs:
        ours, separator, theirs = pair.partition("=")
        if not ours or not separator or not theirs:
            raise ValueError(f"{pair!r} is no pair; write one such as team-a=pipelines-of-team-a")


def _check_resources(pairs: tuple[str, ...]) -> None:
    for pair in pairs:
        name, separator, amount = pair.partition("=")
        if not name or not separator:
            raise ValueError(f"{pair!r} is no resource; write one such as memory=512Mi")
        quantity(amount)


@dataclass(frozen=True, kw_only=True)
class PodSettings:
    """The cluster, the pods, and the calls to the API server."""

    kubeconfig: str = text(
        "The kubeconfig of the cluster that steps run in. Empty: in a pod its service account, elsewhere "
        "KUBECONFIG or ~/.kube/config.",
        metavar="FILE",
        default_text="as kubectl finds it",
    )
    kubernetes_context: str = text("The context of the kubeconfig.", default_text="its current one")
    kubernetes_namespace: str = text(
        "The namespace of the cluster that steps run in, where `kubernetes_namespaces` names no other.",
        default="default",
    )
    kubernetes_namespaces: tuple[str, ...] = texts(
        "Other namespaces of the cluster for some of ours, each as `OURS=THEIRS`.",
        metavar="NAME=NAME,...",
        check=_check_namespaces,
    )
    kubernetes_policies: str = text(
        "A TOML file that says what the pods of each namespace of ours may have, and what they get.",
        metavar="FILE",
        default_text="everything is allowed",
    )
    kubernetes_stage_image: str = text(
        "The image of the containers that fetch inputs and store outputs: that of this server, of its version. "
        "Needed with the launcher `kubernetes`.",
        metavar="IMAGE",
        default_text="none",
    )
    kubernetes_stage_pull_policy: str = choice(
        "When that image is pulled: `Always`, `IfNotPresent` or `Never`.",
        default="",
        choices=("", "Always", "IfNotPresent", "Never"),
        metavar="POLICY",
        default_text="as Kubernetes does it for the image's tag",
    )
    kubernetes_stage_user: int = number(
        "Number of the user that those containers run as. 0 reads what steps have written whatever its mode, by "
        "one capability and no other; another one fits a namespace that is restricted, and reads what others may.",
        default=0,
        minimum=0,
    )
    kubernetes_stage_requests: tuple[str, ...] = texts(
        "What each of those containers asks for.",
        default=tuple(f"{name}={amount}" for name, amount in STAGE_REQUESTS.items()),
        metavar="NAME=QUANTITY,...",
        check=_check_resources,
    )
    kubernetes_stage_limits: tuple[str, ...] = texts(
        "What each of them may take at most. Storing a single file takes 50 MiB of memory, a folder 100 MiB, eight "
        "folders of large files 600 MiB.",
        metavar="NAME=QUANTITY,...",
        check=_check_resources,
    )
    kubernetes_store_secrets: tuple[str, ...] = texts(
        "Secrets in the namespaces of the pods whose keys become variables of those containers: the credentials of "
        "the object store. Steps do not get them."
    )
    kubernetes_store_claim: str = text(
        "With artifacts in a `file://` store: the volume claim that its folder is, in the namespaces of the pods. "
        "Empty: the folder is on the nodes themselves, which does for a cluster of one machine.",
        default_text="the folder of the node",
    )
    kubernetes_pods_max: int = number(
        "Steps at a time on this server when they are pods, instead of `max_parallel_steps`.",
        default=1000,
        minimum=1,
        maximum=100_000,
    )
    kubernetes_pending_pods_max: int = number(
        "Pods that wait for a node, or start, at a time; further ones are made as those have started.",
        default=100,
        minimum=1,
        maximum=100_000,
    )
    kubernetes_stop_grace_s: int = seconds(
        "How long a step that is cancelled, or whose time is over, may take to end before it is killed, as a pod, "
        "instead of `step_grace_s`.",
        default=5,
        minimum=0,
        maximum=3600,
    )
    kubernetes_pod_grace_s: int = seconds(
        "How long outputs may take to be stored once a step has ended. So long a step may go on, too, whose pod "
        "somebody deletes: Kubernetes knows one grace for a pod.",
        default=45,
        minimum=1,
        maximum=86_400,
    )
    kubernetes_long_grace_s: int = seconds(
        "The same for further attempts at a step with output artifacts, as the first may not have had time enough to "
        "store them; where it is longer.",
        default=600,
        minimum=1,
        maximum=86_400,
    )
    kubernetes_image_grace_s: float = seconds(
        "An attempt whose image cannot be pulled fails after so long.", default=120.0, minimum=0
    )
    kubernetes_config_grace_s: float = seconds(
        "An attempt whose container cannot be made, as when a secret is missing, fails after so long.",
        default=60.0,
        minimum=0,
    )
    kubernetes_unschedulable_grace_s: float = seconds(
        "An attempt whose pod no node takes, or whose node does not start it, fails after so long.",
        default=3600.0,
        minimum=0,
    )
    kubernetes_workspace_size: str = text(
        "Size of the volume that the steps of a run share, where the pipeline names none.",
        default="10Gi",
        metavar="QUANTITY",
    )
    kubernetes_workspace_class: str = text(
        "Storage class of that volume, where the pipeline names none.", default_text="the cluster's default"
    )
    kubernetes_api_rate: float = number(
        "Calls to the API server of the cluster in a second, in the long run.", default=50.0, minimum=1, maximum=10_000
    )
    kubernetes_api_burst: int = number("Calls to it at once, after a rest.", default=100, minimum=1, maximum=10_000)
