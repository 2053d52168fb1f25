"""Reading KFP's REST API when it is slow, away, cut off, shut to us, or not there at all."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from penstock.kfp_host import KfpAccess, KfpHost, KfpHostError
from penstock.v1 import kfp_import_service_pb2 as pb
from penstock.v1 import server_service_pb2
from tests.client.conftest import Command
from tests.client.kfp_answers import Answer, answering
from tests.client.scripted import ScriptedServer

BACKOFF_S = 0.001
ID = "00000000-0000-0000-0000-000000000001"
HTML = Answer(b"<html>log in</html>", headers={"content-type": "text/html"})
PAGES = {
    "runs": [Answer({"runs": [{"run_id": "a"}], "total_size": 3, "next_page_token": "t 1/2"})],
    "runs?page_token=t+1%2F2": [Answer({"runs": [{"run_id": "b"}, {"run_id": "c"}], "total_size": 3})],
}


@pytest.fixture(autouse=True)
def well(server: ScriptedServer) -> None:
    """The server that is imported into answers."""
    server.on("GetServerInfo", server_service_pb2.GetServerInfoResponse())


def runs(url: str, **more: Any) -> list[object]:
    """The ids of all runs."""
    with KfpHost(KfpAccess.at(url, **more), backoff_s=BACKOFF_S) as host:
        return [listed.item["run_id"] for listed in host.pages("runs", "runs", page_size=2, namespace="team")]


def test_a_list_is_read_page_by_page_the_oldest_first() -> None:
    with answering(PAGES) as kfp:
        assert runs(kfp.url) == ["a", "b", "c"]
        assert all("page_size=2" in path and "sort_by=created_at+asc" in path for path in kfp.asked)
        assert all("namespace=team" in path for path in kfp.asked)


@pytest.mark.parametrize(
    "bad",
    [
        Answer({"message": "slow down"}, 429, {"retry-after": "0"}),
        Answer(b"", 500),
        Answer(b"away", 503),
        Answer({"runs": []}, cut=True),
    ],
    ids=["429", "500", "503", "cut"],
)
def test_what_passes_is_waited_for(bad: Answer) -> None:
    with answering({"runs": [bad, bad, Answer({"runs": [{"run_id": "a"}]})]}) as kfp:
        assert runs(kfp.url) == ["a"]
        assert len(kfp.asked) == 3


def test_what_does_not_pass_is_told() -> None:
    with answering({"runs": [Answer({"message": "no room"}, 503)]}) as kfp, pytest.raises(KfpHostError) as raised:
        runs(kfp.url)
    assert (raised.value.status, "no room" in str(raised.value)) == (503, True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer({"message": "who are you?"}, 401), "401: who are you?"),
        (Answer({"error": "not yours"}, 403), "403: not yours"),
        (Answer(b"", 302, {"location": "https://login.example"}), "302: no explanation"),
        (Answer({"error": {"code": 404, "message": "nothing here"}}, 404), "404: nothing here$"),
        (Answer({"error": {"code": 5}}, 404), '404: {"error": {"code": 5}}$'),
        (HTML, "no JSON object"),
        (Answer([1]), "no JSON object"),
        (Answer({"runs": "many"}), "without a list of runs"),
    ],
)
def test_an_answer_that_is_none_is_told_at_once(answer: Answer, told: str) -> None:
    with answering({"runs": [answer]}) as kfp, pytest.raises(KfpHostError, match=told):
        runs(kfp.url)
    assert len(kfp.asked) == 1


def test_what_lets_one_in_is_sent_with_every_request() -> None:
    with answering(PAGES) as kfp:
        runs(kfp.url, token="secret", headers={"cookie": "session=1"})
    assert [headers["authorization"] for headers in kfp.headers] == ["Bearer secret"] * 2
    assert {headers["cookie"] for headers in kfp.headers} == {"session=1"}
    assert "secret" not in repr(KfpAccess.at(kfp.url, token="secret"))


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("kfp.example", "https://kfp.example"),
        ("https://kfp.example/pipeline/apis/v2beta1", "https://kfp.example/pipeline"),
        ("http://kfp.example:80/pipeline/", "http://kfp.example:80/pipeline"),
    ],
)
def test_a_host_is_named_as_people_name_it(host: str, url: str) -> None:
    assert KfpAccess.at(host).url == url


@pytest.mark.parametrize("host", ["", "ftp://kfp.example", "https://", "https://me:word@kfp.example", "http://a?b=c"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"address of KFP"):
        KfpAccess.at(host)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--only", "runs,jobs"], 2, "no kind 'jobs'"),
        (["--kfp-header", "cookie"], 2, "NAME: VALUE"),
        ([], 2, "--kfp-token"),
    ],
)
def test_the_command_tells_what_is_wrong(command: Command, arguments: list[str], status: int, told: str) -> None:
    with answering({"experiments": [Answer({"message": "who are you?"}, 401)]}) as kfp:
        outcome = command("import-kfp", kfp.url, *arguments)
    assert (outcome.exit_code, told in outcome.stderr) == (status, True), outcome.stderr


def test_a_kfp_that_is_not_there_is_told_with_what_to_do(command: Command) -> None:
    with answering({}) as kfp:
        gone = kfp.url
    outcome = command("import-kfp", gone)
    assert (outcome.exit_code, "does not answer" in outcome.stderr) == (3, True)
    assert "nothing was imported yet: check the address" in outcome.stderr
    assert "nothing is lost" not in outcome.stderr


def test_a_kfp_that_is_gone_in_between_is_told_with_what_is_there(command: Command, server: ScriptedServer) -> None:
    server.on("FindImported", pb.FindImportedResponse())
    server.on("ImportExperiment", pb.ImportExperimentResponse(name="namespaces/default/experiments/a", is_new=True))
    lists: dict[str, list[Answer]] = {name: [Answer()] for name in ("recurringruns", "runs")}
    lists["experiments"] = [Answer({"experiments": [{"experiment_id": ID, "display_name": "a"}]})]
    lists["pipelines"] = [Answer({"message": "under repair"}, 418)]
    with answering(lists) as kfp:
        outcome = command("import-kfp", kfp.url)
    assert (outcome.exit_code, outcome.stdout.split()[-4:]) == (3, ["experiments", "1", "0", "0"])
    assert "nothing is lost" in outcome.stderr


def test_a_server_that_is_not_there_is_told_before_kfp_is_asked(command: Command) -> None:
    with answering({}) as kfp:
        outcome = command("--target", "127.0.0.1:1", "import-kfp", kfp.url)
    assert (outcome.exit_code, "no Penstock server answers at 127.0.0.1:1" in outcome.stderr) == (3, True)
    assert (outcome.stdout, kfp.asked) == ("", [])


def test_a_port_that_speaks_something_else_is_told_with_what_to_do(server: ScriptedServer) -> None:
    with pytest.raises(KfpHostError, match="is this a port of gRPC"):
        runs(f"http://{server.address}")
    with answering(PAGES) as kfp, pytest.raises(KfpHostError, match="use http:// in place of https://"):
        runs(kfp.url.replace("http://", "https://"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_kfp_with_a_certificate_of_its_own_is_trusted_by_the_file_that_is_given(
    authority: trustme.CA, tmp_path: Path, command: Command, server: ScriptedServer
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    mine, other = tmp_path / "mine.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(str(mine))
    trustme.CA().cert_pem.write_to_path(str(other))
    with answering(PAGES, tls) as kfp:
        assert runs(kfp.url, ca_file=mine) == ["a", "b", "c"]
        for untrusting in ({"ca_file": other}, {}):
            with pytest.raises(KfpHostError, match="CERTIFICATE_VERIFY_FAILED"):
                runs(kfp.url, **untrusting)
        told = command("import-kfp", kfp.url, "--kfp-ca", str(other))
        assert (told.exit_code, "--kfp-ca" in told.stderr) == (3, True), told.stderr


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("kfp.example").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with answering(PAGES, tls) as kfp, pytest.raises(KfpHostError, match="certificate is not valid for"):
        runs(kfp.url, ca_file=tmp_path / "ca.pem")
