"""Pages of lists, over a real database."""

from typing import Any

import pytest

from penstock.v1 import run_service_pb2 as pb
from penstock_server.model.states import RunState
from penstock_server.rpc import pages
from tests import factories
from tests.api.calls import reason, refusal
from tests.api.conftest import Api
from tests.api.moving import mover

PARENT = "namespaces/default"


async def page(api: Api, **fields: Any) -> pb.ListRunsResponse:
    return await api.runs.ListRuns(pb.ListRunsRequest(parent=PARENT, **fields))


async def ids(api: Api, filter: str) -> list[str]:
    return sorted(run.name.rpartition("/")[2] for run in (await page(api, filter=filter)).runs)


async def walk(api: Api, **fields: Any) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    token = ""
    while True:
        response = await page(api, page_token=token, **fields)
        found += [run.name.rpartition("/")[2] for run in response.runs]
        token = response.next_page_token
        if not token:
            return found


async def insert_many(api: Api, count: int, prefix: str) -> None:
    """Runs made in SQL, since many are needed; create times collide, as those of real ones may."""
    await factories.insert_run(api.database, id=f"{prefix}-base")
    async with api.database.connection() as connection:
        await connection.execute(
            "INSERT INTO run (uid, namespace, id, experiment_uid, spec_digest, display_name, create_time)"
            " SELECT gen_random_uuid(), namespace, %(prefix)s || '-' || n, experiment_uid, spec_digest, '',"
            " create_time - make_interval(secs => n / 7)"
            " FROM run, generate_series(1, %(count)s) AS n WHERE id = %(prefix)s || '-base'",
            {"prefix": prefix, "count": count},
        )


async def test_a_walk_under_inserts_sees_each_old_run_once(api: Api) -> None:
    await insert_many(api, 1_100, "old")
    found: list[str] = []
    token = ""
    while True:
        response = await page(api, page_size=97, page_token=token)
        found += [run.name.rpartition("/")[2] for run in response.runs]
        token = response.next_page_token
        if not token:
            break
        await factories.insert_run(api.database)
    old = [id for id in found if id.startswith("old")]
    assert len(old) == len(set(old)) == 1_101


@pytest.mark.parametrize("order", ["", "create_time", "display_name, create_time desc", "name desc"])
async def test_any_order_is_walked_without_gaps(api: Api, order: str) -> None:
    await insert_many(api, 60, "run")
    found = await walk(api, page_size=7, order_by=order)
    assert len(found) == len(set(found)) == 61


async def test_a_page_holds_fifty_by_default_and_a_thousand_at_most(api: Api) -> None:
    await insert_many(api, 1_005, "run")
    assert len((await page(api)).runs) == 50
    assert len((await page(api, page_size=5_000)).runs) == 1_000


async def test_a_page_too_large_for_a_message_is_cut_short(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "RESPONSE_BYTES_MAX", 2_000)
    await insert_many(api, 30, "run")
    response = await page(api, page_size=30)
    assert 1 < len(response.runs) < 30
    assert len(await walk(api, page_size=30)) == 31


async def test_a_token_fits_only_the_list_it_came_from(api: Api) -> None:
    await insert_many(api, 3, "run")
    token = (await page(api, page_size=1, filter="state = PENDING")).next_page_token
    for fields in ({}, {"filter": "state = FAILED"}, {"filter": "state = PENDING", "order_by": "name"}):
        assert await reason(page(api, page_token=token, **fields)) == "INVALID_PAGE_TOKEN"
    assert await reason(page(api, page_token="made-up")) == "INVALID_PAGE_TOKEN"
    assert (await page(api, page_token=token, filter="state = PENDING", page_size=500)).runs


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"page_size": -1}, "INVALID_REQUEST"),
        ({"filter": "colour = red"}, "INVALID_FILTER"),
        ({"order_by": "colour"}, "INVALID_ORDER_BY"),
        ({"filter": "x" * 5_000}, "INVALID_REQUEST"),
    ],
)
async def test_what_is_wrong_with_a_list_is_told(api: Api, fields: dict[str, Any], expected: str) -> None:
    refused = await refusal(page(api, **fields))
    assert refused.reason == expected
    assert refused.fields == list(fields)


async def test_lists_of_a_missing_namespace_are_refused(api: Api) -> None:
    call = api.runs.ListRuns(pb.ListRunsRequest(parent="namespaces/nowhere"))
    assert await reason(call) == "NAMESPACE_NOT_FOUND"


async def test_runs_are_found_by_each_documented_field(api: Api) -> None:
    await factories.insert_run(
        api.database, id="one", display_name="First 100%", labels={"team": "vision", "a.b/c": "x"},
        pipeline_id="train", pipeline_version=2,
    )  # fmt: skip
    done = await factories.insert_run(api.database, id="two", display_name="second_try")
    owner = await mover(api.database, done)
    await owner.start()
    await owner.end(RunState.FAILED)
    for text, expected in [
        ("state = FAILED", ["two"]),
        ("state != FAILED", ["one"]),
        ("NOT state = STATE_FAILED", ["one"]),
        ("reason = COMPLETED", ["two"]),
        (f'name = "{PARENT}/runs/one"', ["one"]),
        ("display_name:FIRST", ["one"]),
        ("display_name:%", ["one"]),
        ("display_name = second*", ["two"]),
        ("display_name = *_try", ["two"]),
        ("labels:team", ["one"]),
        ("labels.team = vision", ["one"]),
        ("labels.team = vis*", ["one"]),
        ("labels.team != vision", ["two"]),
        ("labels.a.b/c = x", ["one"]),
        ("labels.team:*", ["one"]),
        (f"experiment = {PARENT}/experiments/default", ["one", "two"]),
        (f"pipeline = {PARENT}/pipelines/train", ["one"]),
        (f"pipeline_version = {PARENT}/pipelines/train/versions/2", ["one"]),
        ("spec_digest = sha256*", ["one", "two"]),
        ("end_time:*", ["two"]),
        ("NOT start_time:*", ["one"]),
        ("archive_time:*", []),
        ("create_time > 2020-01-01T00:00:00Z update_time < 2999-01-01", ["one", "two"]),
        ("(state = FAILED OR labels:team) AND NOT display_name:second", ["one"]),
        ('display_name = "\'; DROP TABLE run; --"', []),
        ('labels."x\') OR 1=1 --" = y', []),
        ('display_name = "%(namespace)s"', []),
        ("display_name:{}", []),
    ]:
        assert await ids(api, text) == expected, text
