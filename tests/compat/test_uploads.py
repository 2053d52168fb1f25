"""Uploads: what is taken, and what does no harm."""

import asyncio
import tracemalloc
import zipfile
from typing import Any

import pytest

from penstock_server.compat.uploads import AT_ONCE_MAX
from penstock_server.gateway.app import GatewaySettings
from penstock_server.gateway.bodies import Pace
from penstock_server.store.database import Database
from tests.compat.packages import PLATFORM, form, gzip_bomb, ir, tarred, text, zipped
from tests.compat.serving import BASE, Answer, KfpSite, serving

MIB = 1024 * 1024


async def upload(kfp: KfpSite, content: bytes, file_name: str = "pipeline.yaml", **query: Any) -> Answer:
    """Upload a new pipeline."""
    body, headers = form(content, file_name)
    return await kfp.ask("POST", "/pipelines/upload", body, query=query, headers=headers)


async def versions_of(kfp: KfpSite, pipeline: Any) -> list[Any]:
    page = await kfp.ask("GET", f"/pipelines/{pipeline['pipeline_id']}/versions")
    assert page.status == 200, page.body
    return list(page.body.get("pipeline_versions", []))


@pytest.mark.parametrize(
    ("file_name", "content"),
    [
        ("pipeline.yaml", text()),
        ("pipeline.json", text()),
        ("p.zip", zipped({"pipeline.yaml": text()})),
        ("p.zip", zipped({"notes.txt": b"first", "deep/pipeline.yaml": text()})),
        ("p.zip", zipped({"other.yaml": text()}, zipfile.ZIP_STORED)),
        ("p.tar.gz", tarred({"pipeline.yaml": text()})),
        ("p.tar.gz", tarred({"notes.txt": b"first", "pipeline.yaml": text()}, {"pipeline.yml": "/etc/passwd"})),
        ("p.tgz", tarred({"other.yml": text()})),
    ],
)
async def test_a_package_of_any_form_makes_a_pipeline_and_its_first_version(
    kfp: KfpSite, file_name: str, content: bytes
) -> None:
    made = await upload(
        kfp, content, file_name, name="Hello World", description="greets", tags='{"team": "a"}', code_source_url="x"
    )
    assert made.status == 200, made.body
    assert sorted(made.body) == ["created_at", "description", "display_name", "name", "pipeline_id", "tags"]
    assert (made.body["name"], made.body["display_name"], made.body["tags"]) == ("Hello World",) * 2 + ({"team": "a"},)
    (version,) = await versions_of(kfp, made.body)
    assert (version["name"], version["description"], version["code_source_url"]) == ("Hello World", "greets", "x")
    assert version["pipeline_spec"] == ir()
    assert "tags" not in version


async def test_a_platform_spec_stands_beside_the_pipeline_spec(kfp: KfpSite) -> None:
    content = text() + b"\n---\n" + str(PLATFORM).replace("'", '"').encode()
    made = await upload(kfp, content)
    assert made.status == 200, made.body
    (version,) = await versions_of(kfp, made.body)
    assert version["pipeline_spec"] == {"pipeline_spec": ir(), "platform_spec": PLATFORM}


@pytest.mark.parametrize(
    ("query", "name"),
    [({}, "my file.yaml"), ({"display_name": "Shown"}, "Shown"), ({"name": "named", "display_name": "Shown"}, "named")],
)
async def test_the_name_is_given_or_shown_or_that_of_the_file(kfp: KfpSite, query: dict[str, str], name: str) -> None:
    made = await upload(kfp, text(), "my file.yaml", **query)
    assert (made.body["name"], made.body["display_name"]) == (name, query.get("display_name", name))


async def test_a_version_is_added_to_its_pipeline(kfp: KfpSite) -> None:
    pipeline = (await upload(kfp, text(), name="p")).body
    body, headers = form(text("other"))
    query = {"pipelineid": pipeline["pipeline_id"], "name": "v2", "tags": '{"stage": "test"}'}
    made = await kfp.ask("POST", "/pipelines/upload_version", body, query=query, headers=headers)
    assert made.status == 200, made.body
    assert (made.body["name"], made.body["tags"]) == ("v2", {"stage": "test"})
    assert made.body["pipeline_spec"]["pipelineInfo"] == {"name": "other"}
    assert [version["name"] for version in await versions_of(kfp, pipeline)] == ["p", "v2"]
    again = await kfp.ask("POST", "/pipelines/upload_version", body, query=query, headers=headers)
    assert again.status == 409
    assert again.body["error_message"].startswith("Failed to upload pipeline version: ")


async def test_a_name_is_taken_once(kfp: KfpSite) -> None:
    assert (await upload(kfp, text(), name="Twice")).status == 200
    again = await upload(kfp, text(), name="Twice")
    assert again.status == 409
    told = "Failed to upload pipeline: there is a pipeline named Twice; choose another name"
    assert again.body["error_message"] == told


def many(count: int) -> dict[str, bytes]:
    return {f"{index}.txt": b"" for index in range(count)}


NO_NAME = {**ir(), "pipelineInfo": {}}
REFUSED: dict[str, tuple[str, bytes]] = {
    "an empty file": ("p.yaml", b""),
    "broken YAML": ("p.yaml", b"{a: [1, 2"),
    "no name in the IR": ("p.yaml", str(NO_NAME).replace("'", '"').encode()),
    "another document": ("p.yaml", b"{}"),
    "a KFP 1.x workflow": ("p.yaml", b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"),
    "not UTF-8": ("p.yaml", b"\xff\xfe\x00"),
    "a picture": ("p.png", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "a picture called YAML": ("p.yaml", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "a YAML bomb": ("p.yaml", b"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
    "an empty zip": ("p.zip", zipped({})),
    "a zip of something else": ("p.zip", zipped({"readme.txt": b"hello"})),
    "a zip cut off": ("p.zip", zipped({"pipeline.yaml": text()})[:60]),
    "a zip with a wrong checksum": (
        "p.zip",
        zipped({"pipeline.yaml": text()}, 0).replace(b"hello", b"jello"),
    ),
    "a zip of too many files": ("p.zip", zipped(many(1_500))),
    "a zip with a huge table": ("p.zip", zipped(many(20_000))),
    "a zip bomb": ("p.zip", zipped({"pipeline.yaml": bytes(64 * MIB)})),
    "a zip bomb of another kind": ("p.zip", zipped({"pipeline.yaml": bytes(64 * MIB)}, zipfile.ZIP_BZIP2)),
    "a path out of a zip": ("p.zip", zipped({"../../etc/cron.d/x": b"* * * * * root true"})),
    "an empty tar": ("p.tar.gz", tarred({})),
    "a tar of links": ("p.tar.gz", tarred({}, {"pipeline.yaml": "/etc/passwd", "a.yaml": "../../../etc/passwd"})),
    "a path out of a tar": ("p.tar.gz", tarred({"../../etc/cron.d/x": b"* * * * * root true"})),
    "a tar of too many files": ("p.tar.gz", tarred(many(1_500))),
    "a tar bomb": ("p.tar.gz", gzip_bomb(64 * MIB)),
    "a tar cut off": ("p.tar.gz", tarred({"pipeline.yaml": text()})[:80]),
    "gzip of nothing": ("p.tar.gz", b"\x1f\x8b" + bytes(50)),
}


@pytest.mark.parametrize(("file_name", "content"), REFUSED.values(), ids=list(REFUSED))
async def test_a_bad_package_is_refused_and_makes_nothing(kfp: KfpSite, file_name: str, content: bytes) -> None:
    tracemalloc.start()
    answer = await upload(kfp, content, file_name, name="bad")
    _now, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == 400, answer.body
    assert sorted(answer.body) == ["error_details", "error_message"]
    assert answer.body["error_message"].startswith("Failed to upload pipeline: ")
    assert (await kfp.ask("GET", "/pipelines")).body == {}
    assert peak_bytes < 160 * MIB


async def test_a_file_that_is_too_large_is_refused(kfp: KfpSite) -> None:
    answer = await upload(kfp, bytes(33 * MIB), name="large")
    assert (answer.status, answer.body["error_details"].partition(":")[0]) == (413, "REQUEST_TOO_LARGE")


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def begun(kfp: KfpSite) -> Line:
    """An upload of which a part was sent."""
    body, headers = form(text())
    head = f"POST {BASE}/pipelines/upload?name=slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n"
    head += f"Content-Type: {headers['content-type']}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(kfp.url.rpartition(":")[2]))
    writer.write(head.encode() + body[:100])
    await writer.drain()
    return reader, writer


async def test_a_slow_upload_ends_with_an_answer(database: Database, database_dsn: str) -> None:
    async with serving(database, database_dsn, gateway=GatewaySettings(pace=Pace(0.3, 100_000))) as kfp:
        answers = await asyncio.gather(*[trickled(*line) for line in [await begun(kfp) for _ in range(5)]])
        assert {answer.split()[1] for answer in answers} == {b"408"}
        assert all(b"Failed to upload pipeline: the body came too slowly" in answer for answer in answers)
        assert (await kfp.ask("GET", "/pipelines")).body == {}


async def test_only_so_many_uploads_are_held_at_once_and_all_else_goes_on(kfp: KfpSite) -> None:
    lines = [await begun(kfp) for _ in range(AT_ONCE_MAX)]
    refused = await upload(kfp, b"")
    while refused.status == 400:  # not all of them were heard yet
        refused = await upload(kfp, b"")
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.body["error_message"].startswith("Failed to upload pipeline: this server has 8 uploads under way")
    assert (await kfp.ask("POST", "/pipelines", {"name": "p"})).status == 200
    for _reader, writer in lines:
        writer.close()
    while (made := await upload(kfp, text(), name="after")).status == 429:
        pass
    assert made.status == 200


async def trickled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The answer to somebody who sends a byte now and then."""
    answer = asyncio.ensure_future(reader.readuntil(b"}"))
    while not (await asyncio.wait([answer], timeout=0.05))[0]:
        writer.write(b"x")
    writer.close()
    return answer.result()


def broken_forms() -> dict[str, tuple[bytes, dict[str, str]]]:
    body, headers = form(text())
    two = body.removesuffix(b"--\r\n") + b"\r\n" + body.partition(b"\r\n")[2]
    return {
        "no form": (b"{}", {"content-type": "application/json"}),
        "no content type": (body, {"content-type": ""}),
        "no boundary": (body, {"content-type": "multipart/form-data"}),
        "another boundary": (body, {"content-type": "multipart/form-data; boundary=other"}),
        "an endless boundary": (body, {"content-type": f"multipart/form-data; boundary={'b' * 4000}"}),
        "cut off in the file": (body[:-60], headers),
        "cut off in the headers": (body[:60], headers),
        "an empty body": (b"", headers),
        "another field": form(text(), field="file"),
        "two files": (two, headers),
        "headers without end": (body[:26] + b"X: " + b"x" * 20_000 + body[26:], headers),
        "no form at all": (b"--" + b"\0" * 5_000, headers),
    }


@pytest.mark.parametrize(("body", "headers"), broken_forms().values(), ids=list(broken_forms()))
async def test_a_broken_form_is_refused(kfp: KfpSite, body: bytes, headers: dict[str, str]) -> None:
    answer = await kfp.ask("POST", "/pipelines/upload", body, headers=headers)
    assert answer.status == 400, answer.body
    assert "INVALID_UPLOAD" in answer.body["error_details"]


@pytest.mark.parametrize(
    "query",
    [
        {"name": "x" * 129},
        {"display_name": "x" * 300, "name": "x"},
        {"name": "a\0b"},
        {"tags": "[]", "name": "x"},
        {"tags": '{"a": 1}', "name": "x"},
        {"tags": '{"a.b": "c"}', "name": "x"},
        {"tags": '{"": "c"}', "name": "x"},
        {"tags": '{"a": "\\u0000"}', "name": "x"},
        {"tags": '{"a": "\\ud800"}', "name": "x"},
        {"tags": "[" * 5_000, "name": "x"},
        {"tags": str({str(index): "" for index in range(21)}).replace("'", '"'), "name": "x"},
    ],
)
async def test_a_wrong_query_is_refused(kfp: KfpSite, query: dict[str, str]) -> None:
    assert (await upload(kfp, text(), **query)).status == 400
    assert (await kfp.ask("GET", "/pipelines")).body == {}


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"pipelineid": "nothing"}, 404), ({"pipelineid": "00000000-0000-0000-0000-000000000000"}, 404)],
)
async def test_a_version_needs_its_pipeline(kfp: KfpSite, query: dict[str, str], status: int) -> None:
    body, headers = form(text())
    answer = await kfp.ask("POST", "/pipelines/upload_version", body, query=query, headers=headers)
    assert answer.status == status
    assert answer.body["error_message"].startswith("Failed to upload pipeline version: ")
