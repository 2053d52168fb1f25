"""The pod of an attempt, as it is given to Kubernetes: a pure function of what was asked.

    init containers                                         containers
    penstock-stage-in ──► penstock-stage-out (goes on) ──► the user's own init containers ──► main

`main` runs what the user made: its image, its command, its entrypoint where it has no command. Everything of ours is
in the other two, which alone can reach the store.
"""

import json
import math
from collections.abc import Mapping

from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes import containers, names
from penstock_server.launch.kubernetes.containers import Fragment, present
from penstock_server.launch.kubernetes.frame import Frame
from penstock_server.launch.kubernetes.places import Command, Places, command, places, told
from penstock_server.launch.kubernetes.policy import PodError, admitted
from penstock_server.launch.program import COMMAND_INVALID
from penstock_server.launch.workspace import is_inside
from penstock_server.spec.constants import WORKSPACE_PATH
from penstock_server.spec.graph import Container
from penstock_server.spec.pod_entries import SETTING_INVALID

NODE_PATIENCE_S = 10
"""So much later than the servers a node ends a pod whose time is over. A node that has begun to end one gives it all
of the grace that outputs have, whoever asks for less meanwhile, so the servers go first."""
ARGUMENT_BYTES_MAX = 32 * 4096 - 1
"""MAX_ARG_STRLEN of Linux, less the NUL at the end."""
ARGUMENTS_BYTES_MAX = 1024 * 1024
"""Of all together: Kubernetes takes no pod beyond about 1.5 MiB."""


def pod_manifest(request: StepRequest, plan_env: Mapping[str, str], frame: Frame, namespace: str) -> Fragment:
    """The pod, in Kubernetes' JSON, for `namespace` of the cluster; the same request gives the same pod.

    `plan_env` are the variables that tell our containers what to do. The policy of the run's namespace is applied.
    Raises PodError (COMMAND_INVALID, SETTING_INVALID, POLICY_DENIED).
    """
    where = places(request)
    run = command(request, where.paths) if isinstance(request.component.body, Container) else None
    if run is not None:
        _check_lengths(run)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.pod_name(request.facts.run_id, request.attempt),
            "namespace": namespace,
            "labels": {**request.settings.labels, **names.pod_labels(request, frame.installation)},
            "annotations": {**request.settings.annotations, **names.pod_annotations(request)},
        },
        "spec": _spec(request, plan_env, frame, where, run),
    }
    namespace_policy = frame.policies.of(request.facts.namespace)
    return admitted(pod, namespace_policy, request.facts.namespace, frame.stage.image)


def _spec(
    request: StepRequest, plan_env: Mapping[str, str], frame: Frame, where: Places, run: Command | None
) -> Fragment:
    settings, account = request.settings, request.facts.service_account
    shared = request.has_workspace and (run is None or _uses_workspace(request, where, run))
    if shared:
        _check_mounts(request)
    main = (
        containers.main(request, run, with_workspace=shared) if run is not None else containers.importing(frame.stage)
    )
    own = [
        containers.stage_in(frame.stage, plan_env, with_workspace=shared),
        containers.stage_out(frame.stage, plan_env, with_workspace=shared),
    ]
    asked = present(
        activeDeadlineSeconds=math.ceil(request.timeout_s) + NODE_PATIENCE_S if request.timeout_s is not None else None,
        serviceAccountName=account,
        imagePullSecrets=[{"name": name} for name in settings.image_pull_secrets],
        nodeSelector=dict(settings.node_selector),
        tolerations=list(settings.tolerations),
        affinity=settings.affinity,
    )
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": frame.grace_of(request),
        "automountServiceAccountToken": bool(account),
        "enableServiceLinks": False,
        **asked,
        "initContainers": [*own, *settings.init_containers],
        "containers": [main],
        "volumes": [*settings.volumes, *_volumes(request, frame, main, shared)],
    }


def _volumes(request: StepRequest, frame: Frame, main: Fragment, shared: bool) -> list[Fragment]:
    mounted = {mount["name"] for mount in main.get("volumeMounts", ())}
    volumes: list[Fragment] = [{"name": containers.STEP_VOLUME, "emptyDir": {}}]
    volumes += [{"name": name, "emptyDir": {}} for name in containers.SCRATCH if name in mounted]
    if frame.stage.store_volume:
        volumes.append({"name": containers.STORE_VOLUME, **frame.stage.store_volume})
    if shared:
        claim = names.workspace_claim(request.facts.run_id, request.attempt.run_uid)
        volumes.append({"name": containers.WORKSPACE_VOLUME, "persistentVolumeClaim": {"claimName": claim}})
    return volumes


def _uses_workspace(request: StepRequest, where: Places, run: Command) -> bool:
    """Whether anything that the step is told names the workspace: a claim that one node alone may mount is not put
    into the pods of other steps."""
    if any(is_inside(artifact) for listed in request.inputs.artifacts.values() for artifact in listed):
        return True
    texts = [*run.command, *run.args, *(str(entry.get("value", "")) for entry in request.settings.env)]
    return any(WORKSPACE_PATH in text for text in [*texts, json.dumps(told(request, where.paths))])


def _check_mounts(request: StepRequest) -> None:
    for mount in request.settings.volume_mounts:
        path = containers.absolute(str(mount["mountPath"]))
        if path == WORKSPACE_PATH or path.startswith(f"{WORKSPACE_PATH}/"):
            message = f"a volume is mounted at {path}, where the workspace of the run is: mount it elsewhere"
            raise PodError(SETTING_INVALID, message)


def _check_lengths(run: Command) -> None:
    sizes = [len(text.encode()) for text in (*run.command, *run.args)]
    if max(sizes, default=0) > ARGUMENT_BYTES_MAX:
        what, limit = f"an argument of {max(sizes):,} bytes", ARGUMENT_BYTES_MAX
    elif sum(sizes) > ARGUMENTS_BYTES_MAX:
        what, limit = f"arguments of {sum(sizes):,} bytes together", ARGUMENTS_BYTES_MAX
    else:
        return
    message = f"the step's command has {what}; a pod takes at most {limit:,}: hand large values over as artifacts"
    raise PodError(COMMAND_INVALID, message)
