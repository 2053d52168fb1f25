"""Every list of KFP's: each key with each operation and each kind of value, and each order, against a naive reading."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import pytest

from penstock_server.compat import experiments, pipeline_versions, pipelines, recurring_runs
from penstock_server.compat.fields import KfpList
from penstock_server.compat.filters import parse_filter
from penstock_server.compat.runs import run_list
from penstock_server.compat.states import RunStates
from penstock_server.model.errors import InvalidArgument
from tests.compat import test_recurring_runs, test_runs
from tests.compat.naive_lists import Asked, Item, Key, Kind, asked_of, constant, found, tag, text, time, uid, word
from tests.compat.packages import form
from tests.compat.packages import text as text_of
from tests.compat.serving import KfpSite

NAMES = ("alpha", "Beta*", "100%_done", "delta' OR 'a'='a", "äther", "alpha 2")
DESCRIPTIONS = ("", "z" * 300, 'the "first"', "", "z" * 300 + "a", "The first")
FIRST = datetime(2026, 1, 31, 9, 0, 0, 400_000, tzinfo=UTC)
MOMENTS = (FIRST, FIRST.replace(hour=10))
TEXTS = ("some text", "other")
ELSEWHERE = {"pipeline_spec", "state_history", "runtime_details", "metric:"}
"""Keys of runs whose texts a naive reading does not know; `test_runs` asks for them."""

NAMED = {"created_at": time("created_at"), "description": text("description")}
SHOWN = dict.fromkeys(("name", "display_name"), text("display_name"))
TAGS = {"tags.team": tag("team"), "tags.in": tag("in")}
HERE = {"namespace": constant("text", "default")}


def ids(field: str) -> dict[str, Key]:
    return dict.fromkeys(("id", field), uid(field))


KINDS: Mapping[str, Kind] = {
    "experiments": Kind(
        "/experiments",
        "experiments",
        {
            **ids("experiment_id"),
            **(SHOWN | NAMED | HERE),
            "last_run_created_at": time("last_run_created_at"),
            "storage_state": word("storage_state"),
        },
    ),
    "pipelines": Kind(
        "/pipelines",
        "pipelines",
        ids("pipeline_id") | NAMED | HERE | TAGS | {"name": text("name"), "display_name": text("display_name")},
    ),
    "versions": Kind(
        "/pipelines/{pipeline}/versions",
        "pipeline_versions",
        {
            **ids("pipeline_version_id"),
            **(NAMED | TAGS),
            "name": text("name"),
            "display_name": text("display_name"),
            "status": constant("word", "READY"),
        },
    ),
    "runs": Kind(
        "/runs",
        "runs",
        {
            **ids("run_id"),
            **(SHOWN | NAMED | HERE),
            "finished_at": time("finished_at"),
            "scheduled_at": time("scheduled_at"),
            "storage_state": word("storage_state"),
            **dict.fromkeys(("status", "state"), word("state")),
            "experiment_id": uid("experiment_id"),
            "recurring_run_id": uid("recurring_run_id"),
        },
    ),
    "recurring_runs": Kind(
        "/recurringruns", "recurringRuns", ids("recurring_run_id") | SHOWN | NAMED | {"updated_at": time("updated_at")}
    ),
}
LISTS: Mapping[str, KfpList[Any]] = {
    "experiments": experiments.LIST,
    "pipelines": pipelines.LIST,
    "versions": pipeline_versions.LIST,
    "runs": run_list(RunStates()),
    "recurring_runs": recurring_runs.LIST,
}
ENCODINGS = [{"numbers": numbers, "camel": camel} for numbers in (True, False) for camel in (True, False)]


async def made(kfp: KfpSite, path: str, body: Any) -> Any:
    answer = await kfp.ask("POST", path, body)
    assert answer.status == 200, answer.body
    return answer.body


async def make_experiments(kfp: KfpSite) -> None:
    for name, description in zip(NAMES, DESCRIPTIONS, strict=True):
        own = await made(kfp, "/experiments", {"display_name": name, "description": description})
        if name != "alpha":
            await made(kfp, "/runs", test_runs.body(experiment_id=own["experiment_id"]))
        if description:
            await made(kfp, f"/experiments/{own['experiment_id']}:archive", None)


def tags(index: int) -> dict[str, str]:
    return {"team": "even" if index % 2 == 0 else "odd", "in": str(index)} if index else {}


async def make_pipelines(kfp: KfpSite) -> None:
    for index, (name, description) in enumerate(zip(NAMES, DESCRIPTIONS, strict=True)):
        shown = name if index == 1 else f"Shown {index % 3}"
        given = {"name": name, "display_name": shown, "description": description, "tags": tags(index)}
        await made(kfp, "/pipelines", given)


async def make_versions(kfp: KfpSite) -> str:
    pipeline = await made(kfp, "/pipelines", {"name": "of versions"})
    for index, (name, description) in enumerate(zip(NAMES, DESCRIPTIONS, strict=True)):
        content, headers = form(text_of(f"of-{index}"))
        query = {"pipelineid": pipeline["pipeline_id"], "name": name, "description": description}
        query |= {"display_name": f"Shown {index % 3}" if index else "", "tags": json.dumps(tags(index))}
        answer = await kfp.ask("POST", "/pipelines/upload_version", content, query=query, headers=headers)
        assert answer.status == 200, answer.body
    return str(pipeline["pipeline_id"])


async def make_runs(kfp: KfpSite) -> None:
    experiment = await made(kfp, "/experiments", {"display_name": "of runs"})
    job = await made(kfp, "/recurringruns", test_recurring_runs.body(mode="DISABLE"))
    for index, (name, description) in enumerate(zip(NAMES, DESCRIPTIONS, strict=True)):
        where = {"experiment_id": experiment["experiment_id"]} if index % 2 else {}
        run = await made(kfp, "/runs", test_runs.body(name, description=description, **where))
        if index % 3 == 0:
            await (await test_runs.owner(kfp, run["run_id"])).end()
        if index % 3 == 1:
            await made(kfp, f"/runs/{run['run_id']}:archive", None)
        if index > 3:
            change = "UPDATE run SET job_uid = %s, job_id = 'j', slot_time = %s - %s * interval '1 hour' WHERE uid = %s"
            async with kfp.database.connection() as connection:
                await connection.execute(change.encode(), [job["recurring_run_id"], FIRST, index, run["run_id"]])


async def make_recurring_runs(kfp: KfpSite) -> None:
    for name, description in zip(NAMES, DESCRIPTIONS, strict=True):
        job = await made(kfp, "/recurringruns", test_recurring_runs.body(name, description=description))
        if description:
            await made(kfp, f"/recurringruns/{job['recurring_run_id']}:disable", None)


TABLES = ("experiment", "pipeline", "pipeline_version", "run", "job")


async def date(kfp: KfpSite) -> None:
    """Let what was made have been made half a minute apart, two at a time."""
    async with kfp.database.connection() as connection:
        for table in TABLES:
            change = f"""
                UPDATE {table} SET create_time = %s + floor(place / 2) * interval '31 seconds'
                FROM (SELECT uid, row_number() OVER (ORDER BY create_time) AS place FROM {table}) AS placed
                WHERE placed.uid = {table}.uid
            """
            await connection.execute(change.encode(), [FIRST])


@pytest.fixture
async def world(kfp: KfpSite) -> tuple[KfpSite, Mapping[str, Kind]]:
    """Six of each kind."""
    await make_experiments(kfp)
    await make_pipelines(kfp)
    pipeline = await make_versions(kfp)
    await make_runs(kfp)
    await make_recurring_runs(kfp)
    await date(kfp)
    return kfp, {name: replace(kind, path=kind.path.format(pipeline=pipeline)) for name, kind in KINDS.items()}


async def listed(kfp: KfpSite, kind: Kind, **query: Any) -> list[Item]:
    """All items, page by page."""
    items: list[Item] = []
    while True:
        page = await kfp.ask("GET", kind.path, query=query)
        assert page.status == 200, (query, page.body)
        items += page.body.get(kind.items, [])
        if "next_page_token" not in page.body:
            assert page.body.get("total_size", 0) == len(items), query
            return items
        query["page_token"] = page.body["next_page_token"]


def values_of(known: Key, items: list[Item]) -> list[Any]:
    """A value that an item has, and one that none has."""
    has = [value for item in items if (value := known.read(item))]
    none: Any = datetime(2026, 1, 31, 9, 0, 1, tzinfo=UTC) if known.kind == "time" else "nothing"
    return [has[1 % len(has)], none]


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
async def test_each_operation_on_each_key_finds_what_a_naive_reading_finds(
    world: tuple[KfpSite, Mapping[str, Kind]], name: str
) -> None:
    kfp, kind = world[0], world[1][name]
    items, encodings, wrong = await listed(kfp, kind, page_size=200), cycle(ENCODINGS), []
    assert len(items) >= 6
    for key, known in distinct(kind).items():
        for asked in asked_of(key, known, values_of(known, items)):
            if (expected := found(asked, known, items)) is None:
                continue
            answer = await kfp.ask("GET", kind.path, query={"page_size": 200, "filter": asked.told(**next(encodings))})
            right = answer.body.get(kind.items, []) == [items[index] for index in expected]
            if not right or answer.body.get("total_size", 0) != len(expected):
                wrong.append((asked, expected, answer))
    assert not wrong


def distinct(kind: Kind) -> Mapping[str, Key]:
    """The keys, one of each pair that means the same."""
    return {key: known for known, key in {known: key for key, known in kind.keys.items()}.items()}


@pytest.mark.parametrize("name", KINDS)
def test_what_no_operation_takes_is_refused_for_each_key(name: str) -> None:
    for key, known in KINDS[name].keys.items():
        for asked in asked_of(key, known, MOMENTS if known.kind == "time" else TEXTS):
            if found(asked, known, []) is None:
                for encoding in ENCODINGS:
                    with pytest.raises(InvalidArgument):
                        parse_filter(asked.told(**encoding), LISTS[name].fields)


@pytest.mark.parametrize("name", KINDS)
def test_two_names_of_a_key_are_one_key(name: str) -> None:
    keys, fields = KINDS[name].keys, LISTS[name].fields
    for one in keys:
        for other in set(keys) - {one}:
            same = keys[one] == keys[other]
            assert (fields.get(one) == fields.get(other)) is same or keys[one].kind == "tag", (one, other)


@pytest.mark.parametrize("name", KINDS)
def test_all_encodings_of_a_filter_are_read_alike(name: str) -> None:
    for key, known in KINDS[name].keys.items():
        for asked in asked_of(key, known, MOMENTS if known.kind == "time" else TEXTS):
            read = [_read(asked, LISTS[name].fields, encoding) for encoding in ENCODINGS]
            assert all(each == read[0] for each in read), asked


def _read(asked: Asked, fields: Any, encoding: dict[str, bool]) -> object:
    try:
        return parse_filter(asked.told(**encoding), fields)
    except InvalidArgument as error:
        return error.message


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
async def test_each_order_shows_every_item_once(world: tuple[KfpSite, Mapping[str, Kind]], name: str) -> None:
    kfp, kind = world[0], world[1][name]
    ids = sorted(str(item) for item in await listed(kfp, kind, page_size=200))
    for key, known in distinct(kind).items():
        if not known.sortable:
            refused = await kfp.ask("GET", kind.path, query={"sort_by": key})
            assert (refused.status, refused.body["code"]) == (400, 3), key
            continue
        rising, plain, falling = [
            await listed(kfp, kind, page_size=size, sort_by=f"{key}{way}")
            for size, way in ((2, " asc"), (5, ""), (1, " DESC"))
        ]
        assert sorted(map(str, rising)) == ids, key
        assert rising == plain == falling[::-1], key
        order = [known.order(item) for item in rising]
        if key == "description":
            order = [value[:200] for value in order]
        assert order == sorted(order), key


@pytest.mark.parametrize("name", KINDS)
def test_the_table_has_every_key_and_no_other(name: str) -> None:
    known = {key.partition(".")[0] for key in KINDS[name].keys}
    assert known == set(LISTS[name].fields) - ELSEWHERE
