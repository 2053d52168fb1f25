"""A whole walk over a KFP that holds what this server would not take: what is left out is told, the rest comes."""

import asyncio
from typing import Any

import pytest

from penstock import Client
from penstock.kfp_host import KfpAccess, KfpHost
from penstock.kfp_results import Choice, ElsewhereError, Kind, Outcome, Result
from penstock.kfp_walk import KfpWalk
from tests.client.kfp_answers import Answer, answering
from tests.compat import packages
from tests.compat.serving import KfpSite
from tests.compat.test_imports import Importer, experiment, past, pipeline, recurring, uid, version

ARGO = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {}}
BROKEN = {**packages.ir(), "root": {"dag": {"tasks": {"a": {"componentRef": {"name": "none"}}}}}}


def by(number: int) -> dict[str, Any]:
    """What names a version."""
    return {"pipeline_version_reference": {"pipeline_id": uid(2), "pipeline_version_id": uid(number)}}


GOOD, OLD, WRONG, LOST = version(3), version(4, "v1", pipeline_spec=ARGO), version(5, "v3", pipeline_spec=BROKEN), 6
NIGHTLY = {name: value for name, value in recurring().items() if name != "pipeline_spec"}
KFP: dict[str, list[dict[str, Any]]] = {
    "experiments": [experiment()],
    "pipelines": [pipeline()],
    f"pipelines/{uid(2)}/versions": [GOOD, OLD, WRONG],
    "recurringruns": [
        NIGHTLY | by(3),
        NIGHTLY | by(5) | {"recurring_run_id": uid(12)},
        NIGHTLY | by(LOST) | {"recurring_run_id": uid(13)},
        NIGHTLY | {"recurring_run_id": uid(14)},
    ],
    "runs": [
        past(20),
        past(21, **by(4)),
        past(22, **by(5)),
        past(23, **by(LOST)),
        past(24, state="RUNNING"),
        past(25, experiment_id=uid(77)),
    ],
}
FIELDS = {"recurringruns": "recurringRuns", f"pipelines/{uid(2)}/versions": "pipeline_versions"}


def answers() -> dict[str, list[Answer]]:
    """KFP's answers: its lists, and the versions by themselves that it still has."""
    lists = {path: [Answer({FIELDS.get(path, path): items, "total_size": len(items)})] for path, items in KFP.items()}
    of_pipeline = f"pipelines/{uid(2)}/versions"
    return lists | {f"{of_pipeline}/{each['pipeline_version_id']}": [Answer(each)] for each in (OLD, WRONG)}


async def walk(site: KfpSite, namespace: str = "default", **choice: Any) -> list[Result]:
    """All results of a walk."""

    def walked() -> list[Result]:
        with (
            answering(answers()) as kfp,
            KfpHost(KfpAccess.at(kfp.url)) as host,
            Client(site.address, None, namespace) as client,
        ):
            return list(KfpWalk(host, client.kfp_imports, Choice(**choice)).results())

    return await asyncio.to_thread(walked)


def told(results: list[Result], outcome: Outcome) -> dict[str, str]:
    """Reasons, or first notes, by ids."""
    return {each.id: each.reason or next(iter(each.notes), "") for each in results if each.outcome is outcome}


def enabled(results: list[Result]) -> list[str]:
    """Schedules that the walk has let fire."""
    return [each.id for each in results if each.enabled]


async def test_what_is_left_out_is_told_and_the_rest_comes(kfp: KfpSite) -> None:
    results = await walk(kfp)
    assert told(results, Outcome.LEFT_OUT) == {
        uid(4): "INVALID_SPEC",
        uid(5): "INVALID_SPEC",
        uid(12): "PIPELINE_VERSION_NOT_IMPORTED",
        uid(13): "PIPELINE_VERSION_NOT_FOUND",
        uid(14): "PIPELINE_VERSION_NOT_FOUND",
        uid(24): "IMPORT_NOT_ENDED",
    }
    made = told(results, Outcome.MADE)
    assert {uid(number) for number in (1, 2, 3, 11, 20, 21, 22, 23, 25)} == made.keys()
    assert "cannot be run again" in made[uid(21)]
    assert made[uid(22)] == ""
    assert "cannot be run again" in made[uid(23)]
    assert "default experiment" in made[uid(25)]


async def test_a_second_walk_makes_nothing_and_tells_the_same(kfp: KfpSite) -> None:
    first, second = await walk(kfp), await walk(kfp)
    assert told(second, Outcome.MADE) == {}
    assert told(second, Outcome.LEFT_OUT) == told(first, Outcome.LEFT_OUT)


async def test_a_dry_walk_tells_what_a_walk_would_make(kfp: KfpSite) -> None:
    tried = await walk(kfp, dry_run=True)
    made = await walk(kfp)
    assert {(each.id, each.outcome) for each in tried} == {(each.id, each.outcome) for each in made}


async def test_what_was_not_chosen_is_looked_up_only(kfp: KfpSite) -> None:
    lonely = await walk(kfp, kinds=frozenset({Kind.RUNS}))
    assert {each.kind for each in lonely} == {Kind.RUNS}
    assert told(lonely, Outcome.LEFT_OUT)[uid(20)] == "EXPERIMENT_NOT_IMPORTED"
    await walk(kfp, kinds=frozenset({Kind.EXPERIMENTS}))
    runs = await walk(kfp, kinds=frozenset({Kind.RUNS}))
    assert told(runs, Outcome.MADE).keys() >= {uid(20), uid(22)}


async def test_an_installation_goes_into_one_namespace(kfp: KfpSite) -> None:
    await Importer(kfp).make_namespace("team")
    await walk(kfp)
    for kind in (Kind.EXPERIMENTS, Kind.SCHEDULES, Kind.RUNS):
        with pytest.raises(ElsewhereError, match=r"(?s)imported into namespace default before.* -n default "):
            await walk(kfp, "team", kinds=frozenset({kind}))
    pipelines = await walk(kfp, "team", kinds=frozenset({Kind.PIPELINES}))
    assert told(pipelines, Outcome.MADE).keys() == {uid(2), uid(3)}


async def test_schedules_that_are_let_fire_are_told(kfp: KfpSite) -> None:
    assert enabled(await walk(kfp)) == []
    assert enabled(await walk(kfp, enable_schedules=True, dry_run=True)) == [uid(11)]
    assert enabled(await walk(kfp, enable_schedules=True)) == [uid(11)]
    assert enabled(await walk(kfp, enable_schedules=True)) == []
