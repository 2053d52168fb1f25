"""What a step costs on the process launcher: chains, fan-outs, many runs at once, one run's latency, KFP components."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests import pipelines
from tests.bench import floors
from tests.bench.bed import AT_ONCE, PASS, Bed, Row

IDENTITY = Path(__file__).parent.parent / "corpus" / "general" / "identity.yaml"
ROUNDS = 3


def chain(bed: Bed) -> list[Row]:
    """Forty steps, one after the other."""
    return [_against_floor(bed, "chain of 40, a step", pipelines.chain(40, *PASS), 40, 1, "1.25")]


def fan_out(bed: Bed) -> list[Row]:
    """One, then a hundred, eight at a time, then one."""
    return [_against_floor(bed, "fan-out 1-100-1, a step", pipelines.fan_out(100, *PASS), 102, AT_ONCE, "1.2")]


def many(bed: Bed) -> list[Row]:
    """Two hundred runs of three steps, submitted at once."""
    spec = pipelines.chain(3, *PASS)
    bed.run_s(spec)
    before = bed.step_floor_ms(at_once=AT_ONCE)
    start = time.perf_counter()
    with ThreadPoolExecutor(16) as threads:
        runs = list(threads.map(lambda _: bed.create(spec), range(200)))
        submitted = time.perf_counter() - start
        list(threads.map(bed.finish, runs))
    seconds = time.perf_counter() - start
    floor = 200 * 3 * (before + bed.step_floor_ms(at_once=AT_ONCE)) / 2000
    return [
        Row("200 runs of 3 steps, submitted", submitted, "s"),
        Row("200 runs of 3 steps, rate", 200 / seconds, "runs/s", 200 / floor, "at least 0.8"),
    ]


def latency(bed: Bed) -> list[Row]:
    """One run of one step, CreateRun to the client seeing SUCCEEDED; median of forty."""
    spec = pipelines.chain(1, *PASS)
    bed.run_s(spec)
    before = bed.step_floor_ms()
    median = statistics.median(1000 * bed.run_s(spec) for _ in range(40))
    floor = (before + bed.step_floor_ms()) / 2
    return [Row("one run of one step, p50", median, "ms", floor, f"F + 10 ms = {floor + 10:.1f} ms")]


def components(bed: Bed) -> list[Row]:
    """Forty lightweight KFP Python components in a chain, with their packages installed already."""
    spec = component_chain(40)
    bed.run_s(spec)
    before = bed.component_floor_ms(component_source(spec))
    seconds = statistics.median(bed.run_s(spec) for _ in range(ROUNDS))
    floor = (before + bed.component_floor_ms(component_source(spec))) / 2
    empty = 1000 * floors.fork_floor_s(bed.dsn, count=40)
    return [
        Row("chain of 40 KFP components, a step", 1000 * seconds / 40, "ms", floor, "1.6 (of Z)"),
        Row("Z with nothing in the child", empty, "ms"),
    ]


def component_chain(length: int) -> dict[str, Any]:
    """`identity` of the corpus, each copy fed by the one before; caching off."""
    spec: dict[str, Any] = yaml.safe_load(IDENTITY.read_text())
    dag = spec["root"]["dag"]
    first = dag["tasks"].pop("identity")
    first["cachingOptions"] = {}
    component = spec["components"]["comp-identity"]
    for index in range(length):
        source: dict[str, Any] = {"componentInputParameter": "value"}
        if index:
            source = {"taskOutputParameter": {"producerTask": f"s{index - 1}", "outputParameterKey": "Output"}}
        dag["tasks"][f"s{index}"] = {**first, "inputs": {"parameters": {"value": source}}}
    assert component["executorLabel"] in spec["deploymentSpec"]["executors"]
    dag["outputs"]["parameters"]["Output"]["valueFromParameter"]["producerSubtask"] = f"s{length - 1}"
    spec["root"]["inputDefinitions"]["parameters"]["value"]["defaultValue"] = "x"
    return spec


def component_source(spec: dict[str, Any]) -> str:
    """The text of the component that `component_chain` is made of."""
    source: str = spec["deploymentSpec"]["executors"]["exec-identity"]["container"]["command"][-1]
    return source


def _against_floor(bed: Bed, name: str, spec: dict[str, Any], steps: int, at_once: int, target: str) -> Row:
    bed.run_s(spec)
    before = bed.step_floor_ms(at_once=at_once)
    seconds = statistics.median(bed.run_s(spec) for _ in range(ROUNDS))
    floor = (before + bed.step_floor_ms(at_once=at_once)) / 2
    return Row(name, 1000 * seconds / steps, "ms", floor, target)
