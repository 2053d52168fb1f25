"""Reading KFP's REST API when it is slow, away, cut off, shut to us, or not there at all."""

import pytest

from penstock.kfp_host import KfpAccess, KfpHost, KfpHostError
from tests.client.conftest import Command
from tests.client.kfp_answers import Answer, answering

BACKOFF_S = 0.001
HTML = Answer(b"<html>log in</html>", headers={"content-type": "text/html"})
PAGES = {
    "runs": [Answer({"runs": [{"run_id": "a"}], "total_size": 3, "next_page_token": "t 1/2"})],
    "runs?page_token=t+1%2F2": [Answer({"runs": [{"run_id": "b"}, {"run_id": "c"}], "total_size": 3})],
}


def runs(url: str, **more: object) -> list[object]:
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
    assert "the same command goes on" in outcome.stderr
