"""The settings: one frozen object, read once.

Each can be given on the command line, in the environment as `PENSTOCK_<NAME>`, or in a TOML file; the first of these
that has it counts, and else the default. `docs/reference/settings.md` is made of this file by `settings_page`.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock_agent.object_store import SCHEMES
from penstock_agent.stores import FILE_SCHEME
from penstock_server.main.addresses import parse_address
from penstock_server.main.declared import Setting, SettingError, masked, setting, settings_of

CONFIG_VARIABLE = "PENSTOCK_CONFIG"
MIB = 1024 * 1024

STORAGE = "Storage"
ADDRESSES = "Addresses"
STEPS = "Steps"
KUBERNETES = "Steps as pods"
ENGINE = "Engine"
LIMITS = "Limits"
KFP = "KFP's API"
TELEMETRY = "Logs, traces, metrics"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_address(text: str) -> None:
    parse_address(text)


def _check_origins(origins: tuple[str, ...]) -> None:
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError(f"{origin!r} is no origin; write one such as https://penstock.example:8443")


def _check_database_url(url: str) -> None:
    if url and not url.startswith(("postgresql://", "postgres://")) and "=" not in url:
        raise ValueError("it has to begin with postgresql://")


def _check_artifacts_url(url: str) -> None:
    schemes = (FILE_SCHEME, *SCHEMES)
    parts = urlsplit(url)
    is_place = parts.path.startswith("/") if parts.scheme == FILE_SCHEME else parts.hostname == parts.netloc.lower()
    if url and (parts.scheme not in schemes or not is_place or parts.query or "//" in parts.path):
        known = ", ".join(schemes)
        raise ValueError(
            f"{masked(url)!r} is no such place; write one such as s3://bucket/folder, with {known} before ://"
        )


def _check_endpoint(url: str) -> None:
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url!r} has to begin with http:// or https://, such as http://127.0.0.1:4317")


def _check_namespaces(pairs: tuple[str, ...]) -> None:
    for pair in pairs:
        ours, separator, theirs = pair.partition("=")
        if not ours or not separator or not theirs:
            raise ValueError(f"{pair!r} is no pair; write one such as team-a=pipelines-of-team-a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, with units in the names."""

    data_dir: Path = setting(  # noqa: RUF009  # it makes a field, which nobody shares
        default_factory=lambda: Path("penstock-data"),
        doc="Folder of this server. Holds the embedded Postgres, the files of steps, their logs and Python "
        "environments, and the artifacts. Made when it is missing.",
        group=STORAGE,
        metavar="DIR",
    )
    database_url: str = setting(
        "",
        doc="Your own Postgres (15 to 18). Empty: a Postgres is started in the data folder. Migrate your own with "
        "`penstock-server migrate` before the first start and after each update.",
        group=STORAGE,
        metavar="URL",
        default_text="the embedded Postgres",
        secret=True,
        check=_check_database_url,
    )
    database_connections_max: int = setting(
        16, doc="Connections to Postgres in the pool.", group=STORAGE, metavar="N", minimum=2, maximum=1000
    )
    database_wait_s: float = setting(
        30.0,
        doc="How long a starting server waits for a database of your own that does not answer.",
        group=STORAGE,
        metavar="SECONDS",
        unit="s",
        minimum=0,
    )
    statement_timeout_s: float = setting(
        30.0,
        doc="A statement that takes longer is given up, whatever the caller's deadline.",
        group=STORAGE,
        metavar="SECONDS",
        unit="s",
        minimum=1,
    )
    artifacts_url: str = setting(
        "",
        doc="Where artifacts are stored: `s3://bucket/folder`, `gs://`, `az://`, or `file:///folder` for a volume that "
        "all servers and steps share. Empty: in the data folder. Credentials come from the environment (AWS_*, "
        "GOOGLE_*, AZURE_*) or from the identity of the machine or pod.",
        group=STORAGE,
        metavar="URL",
        default_text="the data folder",
        check=_check_artifacts_url,
    )
    artifacts_endpoint: str = setting(
        "",
        doc="Where the object store answers, if it is none of the cloud's own. With the launcher `kubernetes` pods of "
        "steps have to reach it there too.",
        group=STORAGE,
        metavar="URL",
        default_text="the cloud's",
        check=_check_endpoint,
    )
    artifacts_region: str = setting(
        "",
        doc="The region of the bucket, for S3.",
        group=STORAGE,
        metavar="NAME",
        default_text="AWS_REGION, else us-east-1",
    )
    artifacts_allow_http: bool = setting(
        False,
        doc="Speak to the object store over plain http too. Whoever is between can read and change artifacts.",
        group=STORAGE,
        metavar="BOOL",
    )
    grpc_listen: str = setting(
        "127.0.0.1:8887",
        doc="Where gRPC is served. Port 0 takes a free one; the ready line tells which. Anyone who can reach it can "
        "run programs: keep it on loopback unless the network is yours.",
        group=ADDRESSES,
        metavar="HOST:PORT",
        check=_check_address,
    )
    http_listen: str = setting(
        "127.0.0.1:8888",
        doc="Where HTTP is served: REST, Connect, gRPC-Web, probes and metrics. As for grpc_listen.",
        group=ADDRESSES,
        metavar="HOST:PORT",
        check=_check_address,
    )
    allowed_origins: tuple[str, ...] = setting(
        (),
        doc="Origins whose web pages may use the server over HTTP, beside its own. `*` allows all.",
        group=ADDRESSES,
        metavar="URL,...",
        default_text="none",
        check=_check_origins,
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        doc="Names in the header Host that are answered, beside localhost and addresses, such as that of a proxy in "
        "front. `*` allows all.",
        group=ADDRESSES,
        metavar="NAME,...",
        default_text="none on loopback, else all",
    )
    launcher: str = setting(
        "process",
        doc="What executes steps. `process`: as processes on this machine. `kubernetes`: as pods of a cluster.",
        group=STEPS,
        metavar="NAME",
        choices=("process", "kubernetes"),
    )
    max_parallel_steps: int = setting(
        default_factory=cores,
        doc="Steps at a time on this server; further ones wait their turn, in turns between runs.",
        group=STEPS,
        metavar="N",
        default_text="one for each core",
        minimum=1,
        maximum=100_000,
    )
    step_grace_s: float = setting(
        10.0,
        doc="How long a step that is cancelled may take to end before it is killed.",
        group=STEPS,
        metavar="SECONDS",
        unit="s",
        minimum=0,
    )
    step_environ: tuple[str, ...] = setting(
        (),
        doc="Further variables of the server's environment that steps get. Steps get no others than a few common ones.",
        group=STEPS,
        metavar="NAME,...",
        default_text="none",
    )
    step_index_url: str = setting(
        "",
        doc="The package index that the Python packages of steps come from.",
        group=STEPS,
        metavar="URL",
        default_text="as configured for uv or pip",
        secret=True,
    )
    step_extra_index_urls: tuple[str, ...] = setting(
        (),
        doc="Further package indexes, looked at first.",
        group=STEPS,
        metavar="URL,...",
        default_text="none",
        secret=True,
    )
    step_environment_timeout_s: float = setting(
        1800.0,
        doc="A Python environment of steps that takes longer to build has failed.",
        group=STEPS,
        metavar="SECONDS",
        unit="s",
        minimum=1,
    )
    warm_pythons_max: int = setting(
        4,
        doc="Python environments of steps for which an interpreter is kept that has loaded what KFP components need: "
        "their steps are forks of it and start in a few milliseconds. 0: each step starts an interpreter of its own.",
        group=STEPS,
        metavar="N",
        minimum=0,
        maximum=1000,
    )
    warm_python_idle_s: float = setting(
        600.0,
        doc="When no step has asked for such an interpreter for so long, it ends.",
        group=STEPS,
        metavar="SECONDS",
        unit="s",
        minimum=1,
    )
    kubeconfig: str = setting(
        "",
        doc="The kubeconfig of the cluster that steps run in. Empty: in a pod its service account, elsewhere "
        "KUBECONFIG or ~/.kube/config.",
        group=KUBERNETES,
        metavar="FILE",
        default_text="as kubectl finds it",
    )
    kubernetes_context: str = setting(
        "",
        doc="The context of the kubeconfig.",
        group=KUBERNETES,
        metavar="NAME",
        default_text="its current one",
    )
    kubernetes_namespace: str = setting(
        "default",
        doc="The namespace of the cluster that steps run in, where `kubernetes_namespaces` names no other.",
        group=KUBERNETES,
        metavar="NAME",
    )
    kubernetes_namespaces: tuple[str, ...] = setting(
        (),
        doc="Other namespaces of the cluster for some of ours, each as `OURS=THEIRS`.",
        group=KUBERNETES,
        metavar="NAME=NAME,...",
        default_text="none",
        check=_check_namespaces,
    )
    kubernetes_policies: str = setting(
        "",
        doc="A TOML file that says what the pods of each namespace of ours may have, and what they get.",
        group=KUBERNETES,
        metavar="FILE",
        default_text="everything is allowed",
    )
    kubernetes_stage_image: str = setting(
        "",
        doc="The image of the containers that fetch inputs and store outputs: that of this server, of its version. "
        "Needed with the launcher `kubernetes`.",
        group=KUBERNETES,
        metavar="IMAGE",
        default_text="none",
    )
    kubernetes_stage_pull_policy: str = setting(
        "",
        doc="When that image is pulled: `Always`, `IfNotPresent` or `Never`.",
        group=KUBERNETES,
        metavar="POLICY",
        choices=("", "Always", "IfNotPresent", "Never"),
        default_text="as Kubernetes does it for the image's tag",
    )
    kubernetes_stage_user: int = setting(
        0,
        doc="Number of the user that those containers run as. 0 reads what steps have written whatever its mode, by "
        "one capability and no other; another one fits a namespace that is restricted, and reads what others may.",
        group=KUBERNETES,
        metavar="N",
        minimum=0,
    )
    kubernetes_store_secrets: tuple[str, ...] = setting(
        (),
        doc="Secrets in the namespaces of the pods whose keys become variables of those containers: the credentials of "
        "the object store. Steps do not get them.",
        group=KUBERNETES,
        metavar="NAME,...",
        default_text="none",
    )
    kubernetes_store_claim: str = setting(
        "",
        doc="With artifacts in a `file://` store: the volume claim that its folder is, in the namespaces of the pods. "
        "Empty: the folder is on the nodes themselves, which does for a cluster of one machine.",
        group=KUBERNETES,
        metavar="NAME",
        default_text="the folder of the node",
    )
    kubernetes_pods_max: int = setting(
        1000,
        doc="Steps at a time on this server when they are pods, instead of `max_parallel_steps`.",
        group=KUBERNETES,
        metavar="N",
        minimum=1,
        maximum=100_000,
    )
    kubernetes_pending_pods_max: int = setting(
        100,
        doc="Pods that wait for a node, or start, at a time; further ones are made as those have started.",
        group=KUBERNETES,
        metavar="N",
        minimum=1,
        maximum=100_000,
    )
    kubernetes_stop_grace_s: int = setting(
        5,
        doc="How long a step that is cancelled, or whose time is over, may take to end before it is killed, as a pod, "
        "instead of `step_grace_s`.",
        group=KUBERNETES,
        metavar="SECONDS",
        unit="s",
        minimum=0,
        maximum=3600,
    )
    kubernetes_pod_grace_s: int = setting(
        60,
        doc="How long outputs may take to be stored once a step has ended.",
        group=KUBERNETES,
        metavar="SECONDS",
        unit="s",
        minimum=1,
        maximum=86_400,
    )
    kubernetes_image_grace_s: float = setting(
        120.0,
        doc="An attempt whose image cannot be pulled fails after so long.",
        group=KUBERNETES,
        metavar="SECONDS",
        unit="s",
        minimum=0,
    )
    kubernetes_config_grace_s: float = setting(
        60.0,
        doc="An attempt whose container cannot be made, as when a secret is missing, fails after so long.",
        group=KUBERNETES,
        metavar="SECONDS",
        unit="s",
        minimum=0,
    )
    kubernetes_unschedulable_grace_s: float = setting(
        3600.0,
        doc="An attempt whose pod no node takes, or whose node does not start it, fails after so long.",
        group=KUBERNETES,
        metavar="SECONDS",
        unit="s",
        minimum=0,
    )
    kubernetes_workspace_size: str = setting(
        "10Gi",
        doc="Size of the volume that the steps of a run share, where the pipeline names none.",
        group=KUBERNETES,
        metavar="QUANTITY",
    )
    kubernetes_workspace_class: str = setting(
        "",
        doc="Storage class of that volume, where the pipeline names none.",
        group=KUBERNETES,
        metavar="NAME",
        default_text="the cluster's default",
    )
    kubernetes_api_rate: float = setting(
        50.0,
        doc="Calls to the API server of the cluster in a second, in the long run.",
        group=KUBERNETES,
        metavar="N",
        minimum=1,
        maximum=10_000,
    )
    kubernetes_api_burst: int = setting(
        100,
        doc="Calls to it at once, after a rest.",
        group=KUBERNETES,
        metavar="N",
        minimum=1,
        maximum=10_000,
    )
    cache_policy: str = setting(
        "default",
        doc="What runs do with the results of earlier runs where neither they nor their pipeline versions say so. "
        "`default`: as each task of the pipeline says. `disabled`: nothing is read or offered. `refresh`: nothing is "
        "read, but offered.",
        group=ENGINE,
        metavar="POLICY",
        choices=("default", "disabled", "refresh"),
    )
    cache_max_age_s: float = setting(
        0.0,
        doc="Results of earlier runs that are older are not reused where neither run nor version says so. 0: of any "
        "age.",
        group=ENGINE,
        metavar="SECONDS",
        unit="s",
        default_text="any age",
        minimum=0,
    )
    lease_ttl_s: float = setting(
        10.0,
        doc="When a server has not been heard of for so long, others on the same database take its runs over.",
        group=ENGINE,
        metavar="SECONDS",
        unit="s",
        minimum=1,
        maximum=3600,
    )
    poll_s: float = setting(
        2.0,
        doc="How often to look for work without having been notified of any.",
        group=ENGINE,
        metavar="SECONDS",
        unit="s",
        minimum=0.05,
        maximum=60,
    )
    runs_max: int = setting(
        1000,
        doc="Runs that this server drives at a time; further ones wait in the database.",
        group=ENGINE,
        metavar="N",
        minimum=1,
    )
    job_grace_s: float = setting(
        60.0,
        doc="A slot of a job that no server has taken up so long after it fell due was missed: the job's catch-up "
        "policy says what becomes of it.",
        group=ENGINE,
        metavar="SECONDS",
        unit="s",
        minimum=1,
        maximum=86_400,
    )
    job_slots_kept: int = setting(
        10_000,
        doc="So many slots of each job stay in its record, the newest, and all that wait.",
        group=ENGINE,
        metavar="N",
        minimum=100,
    )
    drain_s: float = setting(
        10.0,
        doc="How long calls under way may take once the server was told to end. Steps are left running and found "
        "again by the next server.",
        group=ENGINE,
        metavar="SECONDS",
        unit="s",
        minimum=0,
    )
    receive_bytes_max: int = setting(
        4 * MIB,
        doc="Size of a request, on every transport.",
        group=LIMITS,
        metavar="BYTES",
        unit="bytes",
        minimum=64 * 1024,
        maximum=512 * MIB,
    )
    send_bytes_max: int = setting(
        64 * MIB,
        doc="Size of a response over gRPC.",
        group=LIMITS,
        metavar="BYTES",
        unit="bytes",
        minimum=64 * 1024,
        maximum=1024 * MIB,
    )
    call_time_max_s: float = setting(
        60.0,
        doc="A call that takes longer ends with DEADLINE_EXCEEDED. Streams have no limit.",
        group=LIMITS,
        metavar="SECONDS",
        unit="s",
        minimum=1,
    )
    calls_max: int = setting(
        128,
        doc="Calls under way at a time, over all services and transports. Further ones are refused at once: HTTP "
        "answers 429 with Retry-After, gRPC RESOURCE_EXHAUSTED.",
        group=LIMITS,
        metavar="N",
        minimum=8,
        maximum=100_000,
    )
    streams_max: int = setting(
        4096,
        doc="Streams under way at a time, such as watches and logs that are followed. Further ones are refused "
        "likewise.",
        group=LIMITS,
        metavar="N",
        minimum=8,
        maximum=1_000_000,
    )
    kfp_multi_user: bool = setting(
        False,
        doc="Clients of KFP name their namespace, and a header names the user. Off: KFP's API works in the namespace "
        "`default` and reads no header. On: a proxy in front has to set the header and to decide who may use which "
        "namespace; every user who is named may use all.",
        group=KFP,
        metavar="BOOL",
    )
    kfp_user_header: str = setting(
        "x-goog-authenticated-user-email",
        doc="The header that names the user.",
        group=KFP,
        metavar="NAME",
    )
    kfp_user_prefix: str = setting(
        "accounts.google.com:", doc="What stands before the name in that header.", group=KFP, metavar="TEXT"
    )
    kfp_cancelled_state: str = setting(
        "FAILED",
        doc="What clients of KFP are told of a run that was cancelled. `FAILED`, as KFP's own server says; for a run "
        "that is `CANCELED` KFP's SDK waits without end.",
        group=KFP,
        metavar="STATE",
        choices=("FAILED", "CANCELED"),
    )
    kfp_url_hosts: tuple[str, ...] = setting(
        ("storage.googleapis.com", "s3.amazonaws.com", "github.com", "raw.githubusercontent.com"),
        doc="Hosts that pipelines are downloaded from when a client of KFP names an address. Only https, the default "
        "port and public addresses.",
        group=KFP,
        metavar="NAME,...",
    )
    kfp_url_private_hosts: tuple[str, ...] = setting(
        (),
        doc="Hosts that may also be on private addresses and other ports: sites of your own.",
        group=KFP,
        metavar="NAME,...",
        default_text="none",
    )
    kfp_url_allow_http: bool = setting(
        False,
        doc="Download over plain http too. Whoever is between can change the pipeline.",
        group=KFP,
        metavar="BOOL",
    )
    kfp_url_timeout_s: float = setting(
        30.0,
        doc="How long such a download may take.",
        group=KFP,
        metavar="SECONDS",
        unit="s",
        minimum=1,
        maximum=50,
    )
    log_format: str = setting(
        "auto",
        doc="How logs are written to stderr. `auto`: `human` in a terminal, else `json`.",
        group=TELEMETRY,
        metavar="FORMAT",
        choices=("auto", "human", "json"),
    )
    log_level: str = setting(
        "info",
        doc="What is logged: this and everything graver.",
        group=TELEMETRY,
        metavar="LEVEL",
        choices=("debug", "info", "warning", "error"),
    )
    metrics: bool = setting(
        True, doc="Measure, and serve the figures under `/metrics`.", group=TELEMETRY, metavar="BOOL"
    )
    otlp_endpoint: str = setting(
        "",
        doc="Where traces and metrics are sent by OTLP over gRPC. Empty: nowhere; nothing is traced then. The other "
        "OTEL_EXPORTER_OTLP_* variables count as well.",
        group=TELEMETRY,
        metavar="URL",
        default_text="none",
        check=_check_endpoint,
    )
    trace_ratio: float = setting(
        1.0,
        doc="The share of traces that is kept, of those that begin here.",
        group=TELEMETRY,
        metavar="RATIO",
        minimum=0,
        maximum=1,
    )


SETTINGS: Mapping[str, Setting] = settings_of(Settings)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """By name: option, variable, file or `default`."""


def load_settings(
    options: Mapping[str, str | None], environ: Mapping[str, str], config: Path | None = None
) -> LoadedSettings:
    """Command line over environment over file over defaults. Raises SettingError.

    `config` or else the variable PENSTOCK_CONFIG names the file; without either there is none.
    """
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    in_file = _read_file(config) if config is not None else {}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, known in SETTINGS.items():
        if (option := options.get(name)) is not None:
            origin, value = known.option, option
        elif known.variable in environ:
            origin, value = known.variable, environ[known.variable]
        elif name in in_file:
            origin, value = f"{config}: {name}", in_file[name]
        else:
            origins[name] = "default"
            continue
        try:
            values[name] = known.read(value)
        except ValueError as error:
            raise SettingError(f"{origin}: {error}") from error
        origins[name] = origin
    return LoadedSettings(Settings(**values), origins)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: {error}") from error
    for name in document:
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingError(f"{path}: there is no setting {name}{hint}")
    return document


def config_text(loaded: LoadedSettings) -> str:
    """The settings as TOML, with where each came from; passwords masked."""
    lines = []
    for name, known in SETTINGS.items():
        text = f"{name} = {known.shown(getattr(loaded.settings, name))}"
        lines.append(f"{text:<60} # {loaded.origins[name]}")
    return "\n".join(lines) + "\n"
