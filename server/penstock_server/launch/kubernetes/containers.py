"""The containers of a step's pod: two of ours around the one that is the user's."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes import places
from penstock_server.launch.kubernetes.frame import Stage
from penstock_server.launch.kubernetes.names import MAIN, OWN, STAGE_IN, STAGE_OUT
from penstock_server.launch.kubernetes.places import Command
from penstock_server.launch.surroundings import PROMPT_PYTHON
from penstock_server.model.json import Json
from penstock_server.spec.constants import WORKSPACE_PATH
from penstock_server.spec.graph import Container

Fragment = dict[str, Any]
"""A piece of a pod in Kubernetes' JSON."""
STEP_VOLUME = f"{OWN}step"
STORE_VOLUME = f"{OWN}store"
WORKSPACE_VOLUME = f"{OWN}workspace"
SCRATCH = {
    f"{OWN}scratch-{path.strip('/.')}": path for path in ("/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config")
}
"""Folders that KFP promises its steps to be writable, by the volumes that they are."""
_STEP_MOUNT = {"name": STEP_VOLUME, "mountPath": places.ROOT}
_WORKSPACE_MOUNT = {"name": WORKSPACE_VOLUME, "mountPath": WORKSPACE_PATH}
_READ_ALL = "DAC_OVERRIDE"
"""The only one of those that read everything which the Pod Security Standard `baseline` allows."""
_REFERENCE = re.compile(r"\$(?=[$(])")


def main(request: StepRequest, command: Command, *, with_workspace: bool) -> Fragment:
    """The user's container, as the user made it: image as written, nothing of ours but mounts and a few variables."""
    body, settings = request.component.body, request.settings
    assert isinstance(body, Container)
    mounts: list[Fragment] = [*settings.volume_mounts, _STEP_MOUNT, *([_WORKSPACE_MOUNT] if with_workspace else [])]
    taken = {absolute(mount["mountPath"]) for mount in mounts}
    scratch = [{"name": name, "mountPath": path} for name, path in SCRATCH.items() if path not in taken]
    return present(
        name=MAIN,
        image=settings.image or body.image,
        imagePullPolicy=settings.image_pull_policy,
        command=[literal(text) for text in command.command],
        args=[literal(text) for text in command.args],
        env=_main_env(request),
        resources=settings.resources,
        securityContext=settings.security_context,
        volumeMounts=mounts + scratch,
    )


def stage_in(stage: Stage, plan_env: Mapping[str, str], *, with_workspace: bool) -> Fragment:
    """The init container that brings the inputs."""
    return _stage(stage, STAGE_IN, "stage-in", plan_env, with_workspace)


def stage_out(stage: Stage, plan_env: Mapping[str, str], *, with_workspace: bool) -> Fragment:
    """The sidecar that stores the outputs: native, so the kubelet ends it after `main`, however that has ended."""
    return {**_stage(stage, STAGE_OUT, "stage-out", plan_env, with_workspace), "restartPolicy": "Always"}


def importing(stage: Stage) -> Fragment:
    """What stands for the user's container in the pod of an importer, whose artifact is brought by stage-in."""
    staged = _stage(stage, MAIN, "nothing", {}, with_workspace=False)
    return {key: part for key, part in staged.items() if key not in ("env", "envFrom", "volumeMounts")}


def present(**parts: Any) -> Fragment:
    """The parts that say something."""
    return {name: part for name, part in parts.items() if part}


def literal(text: str) -> str:
    """The text such that Kubernetes hands it on as it is: it would replace `$(NAME)` and shorten `$$`."""
    return _REFERENCE.sub("$$", text)


def variables(values: Mapping[str, str]) -> list[Fragment]:
    """Plain variables."""
    return [{"name": name, "value": literal(value)} for name, value in values.items()]


def absolute(path: str) -> str:
    """The mount path as the kubelet takes it."""
    return "/" + path.strip("/")


def _main_env(request: StepRequest) -> list[Fragment]:
    """Ours first, so that the component's own variables go over them."""
    pod = [_field("KFP_POD_NAME", "metadata.name"), _field("KFP_POD_UID", "metadata.uid")]
    own: Iterable[Fragment] = (
        {**entry, "value": literal(str(entry["value"]))} if "value" in entry else dict(entry)
        for entry in request.settings.env
    )
    return once([*variables(PROMPT_PYTHON), *pod, *variables(request.env), *own])


def _field(name: str, path: str) -> Fragment:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def once(env: Iterable[Fragment]) -> list[Fragment]:
    """Each variable once: of two of a name the later one, at its place."""
    found: dict[str, Fragment] = {}
    for entry in env:
        found.pop(entry["name"], None)
        found[entry["name"]] = entry
    return list(found.values())


def _stage(stage: Stage, name: str, what: str, plan_env: Mapping[str, str], with_workspace: bool) -> Fragment:
    store = [{"name": STORE_VOLUME, "mountPath": stage.store_path}] if stage.store_volume else []
    return present(
        name=name,
        image=stage.image,
        imagePullPolicy=stage.image_pull_policy,
        command=[*stage.command, what],
        env=variables({**stage.env, **plan_env}),
        envFrom=[{"secretRef": {"name": secret}} for secret in stage.secrets],
        resources=present(limits=dict(stage.limits), requests=dict(stage.requests)),
        securityContext=_stage_context(stage.user),
        volumeMounts=[_STEP_MOUNT, *store, *([_WORKSPACE_MOUNT] if with_workspace else [])],
    )


def _stage_context(user: int) -> Fragment:
    capabilities: dict[str, Json] = {"drop": ["ALL"]}
    if user == 0:
        capabilities["add"] = [_READ_ALL]
    return {
        "runAsUser": user,
        "runAsNonRoot": user != 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": capabilities,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
