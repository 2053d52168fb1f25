"""Random graphs of steps that hand artifacts on, check what they are given and keep a journal of themselves."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests import pipelines

STEPS_MIN, STEPS_MAX = 4, 6
SIZES_BYTES = (0, 1_000, 300_000, 20_000_000)
SECONDS_MAX = 4
RETRIES = 6
"""More than a round kills programs of one step."""
WORKSPACE = {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": {"size": "1Mi"}}}}}

_SCRIPT = """
[ "$5" = polite ] && trap 'exit 0' TERM
note() { echo "$1 $RUN $TASK $KFP_RETRY_INDEX" >> $JOURNAL; }
RUN=$0 TASK=$1 TENTHS=$2 SIZE=$3 MADE=$4 JOURNAL=$6 WORKSPACE=$7
note start
shift 7
while [ $# -gt 0 ]; do
  [ "$(sha256sum < "$2" | cut -d ' ' -f 1)" = "$1" ] || exit 3
  shift 2
done
[ -z "$WORKSPACE" ] || echo $TASK >> "$WORKSPACE/tasks"
mkdir -p "$(dirname "$MADE")"
yes "$MADE_OF $TASK" | head -c $SIZE > "$MADE"
while [ $TENTHS -gt 0 ]; do sleep 0.1; TENTHS=$((TENTHS - 1)); done
note end
"""
"""Ends with 3 where it is given something else than was made, and with 0 where a polite one is asked to end."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline, and what its steps make."""

    spec: str
    digests: dict[str, str]
    """Of the artifact of each step."""


def random_graph(random: Random, name: str, journal: Path, *, with_workspace: bool) -> Graph:
    """A graph of its own; `name` is in all that its steps make."""
    edges: dict[str, list[str]] = {}
    for index in range(random.randint(STEPS_MIN, STEPS_MAX)):
        edges[f"s{index}"] = [other for other in edges if random.random() < 0.4]
    sizes = {task: random.choice(SIZES_BYTES) for task in edges}
    digests = {task: _digest(f"{name} {task}\n".encode(), size) for task, size in sizes.items()}
    tasks, components, executors = {}, {}, {}
    for task, after in edges.items():
        words = [
            str(random.randint(1, int(SECONDS_MAX * 10))),
            str(sizes[task]),
            "{{$.outputs.artifacts['made'].path}}",
        ]
        words += [random.choice(["polite", "deaf"]), str(journal), "{{$.workspace_path}}" if with_workspace else ""]
        for other in after:
            words += [digests[other], f"{{{{$.inputs.artifacts['{other}'].path}}}}"]
        tasks[task] = _task(task, after)
        components[f"comp-{task}"] = {"executorLabel": f"exec-{task}", **_interface(after)}
        executors[f"exec-{task}"] = _container(name, words)
    pipeline = pipelines.pipeline(tasks, components, executors)
    documents = [pipeline, WORKSPACE] if with_workspace else [pipeline]
    return Graph("\n---\n".join(json.dumps(each) for each in documents), digests)


def _task(name: str, after: list[str]) -> dict[str, Any]:
    given = {other: {"taskOutputArtifact": {"producerTask": other, "outputArtifactKey": "made"}} for other in after}
    retry = {"maxRetryCount": RETRIES, "backoffDuration": "0s"}
    return {**pipelines.task(f"comp-{name}", after), "inputs": {"artifacts": given}, "retryPolicy": retry}


def _interface(after: list[str]) -> dict[str, Any]:
    taken = {"inputDefinitions": pipelines.makes(*after)} if after else {}
    return {**taken, "outputDefinitions": pipelines.makes("made")}


def _container(name: str, words: list[str]) -> dict[str, Any]:
    command = ["sh", "-c", _SCRIPT, "{{$.pipeline_job_uuid}}", "{{$.pipeline_task_name}}", *words]
    env = [{"name": "MADE_OF", "value": name}]
    return {"container": {"image": "busybox", "command": command, "env": env}}


def _digest(line: bytes, size_bytes: int) -> str:
    content = (line * (size_bytes // len(line) + 1))[:size_bytes]
    return hashlib.sha256(content).hexdigest()
