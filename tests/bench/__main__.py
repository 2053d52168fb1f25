"""`make bench`: what Penstock costs, as ratios against floors measured in the same run on the same Postgres.

Name measures to run only those: `make bench BENCH="chain latency"`.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from tests.bench import anatomy, engine_alone, jobs, kfp, lists, pod_engine, pods, rates, scale, steps, watch
from tests.bench.bed import Bed, Row

MEASURES: dict[str, Callable[[Bed], list[Row]]] = {
    "chain": steps.chain,
    "fanout": steps.fan_out,
    "many": steps.many,
    "latency": steps.latency,
    "components": steps.components,
    "anatomy": anatomy.anatomy,
    "engine": engine_alone.engine,
    "scale": scale.scale,
    "queue": scale.queue,
    "watch": watch.watch,
    "jobs": jobs.jobs,
    "rates": rates.rates,
    "lists": lists.lists,
    "kfp": kfp.kfp,
    "pod-engine": pod_engine.pod_engine,
    "pods": pods.pods,
}
ON_A_CLUSTER = frozenset({"pods"})
"""These need a cluster, and its kubeconfig in KUBECONFIG."""


def main(names: list[str]) -> None:
    """Run the named measures, or all, and print the table."""
    chosen = _chosen(names)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, Bed(Path(folder)) as bed:
        for name in chosen:
            start = time.monotonic()
            rows += MEASURES[name](bed)
            print(f"bench: {name} done after {time.monotonic() - start:.0f} s", file=sys.stderr)
    Console(width=160).print(table(rows))


def _chosen(names: list[str]) -> list[str]:
    """The measures to run: those named, or all that can be."""
    if unknown := set(names) - set(MEASURES):
        sys.exit(f"bench: no measure named {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    if os.environ.get("KUBECONFIG"):
        return names or list(MEASURES)
    if wanting := ON_A_CLUSTER.intersection(names):
        sys.exit(f"bench: set KUBECONFIG to the kubeconfig of a cluster for {', '.join(sorted(wanting))}")
    if not names:
        print(f"bench: without KUBECONFIG, left out: {', '.join(sorted(ON_A_CLUSTER))}", file=sys.stderr)
    return names or [name for name in MEASURES if name not in ON_A_CLUSTER]


def table(rows: list[Row]) -> Table:
    """A row a measure, in Markdown: docs/benchmarks.md takes it as it is."""
    result = Table("Measure", "Figure", "Floor", "Ratio", "Target", box=MARKDOWN)
    for row in rows:
        ratio = "" if row.floor is None else f"{row.figure / row.floor:.2f}"
        floor = "" if row.floor is None else f"{row.floor:.2f} {row.unit}"
        result.add_row(row.name, f"{row.figure:.2f} {row.unit}", floor, ratio, row.target)
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
