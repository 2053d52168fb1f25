"""KFP's own SDK against a real server, with real steps."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.compat.conftest import run_program
from tests.servers import Server, running

HERE = Path(__file__).parent
PROGRAM = HERE / "sdk_stories.py"
STORY_TIMEOUT_S = 300

pytestmark = pytest.mark.slow

Act = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sdk") / "data") as server:
        yield server


@pytest.fixture
def act(kfp_python: Path, server: Server, tmp_path: Path) -> Act:
    """Acts out a story of `sdk_stories.py`; the SDK keeps nothing from one to the next."""

    def act(story: str, **more: Any) -> Any:
        asked = json.dumps({"host": f"http://{server.http}", "story": story, **more})
        return json.loads(run_program([kfp_python, PROGRAM], STORY_TIMEOUT_S, asked, {"HOME": str(tmp_path)}))

    return act


def test_runs_are_made_waited_for_and_found(act: Act, server: Server) -> None:
    told = act("functions")
    good, bad = told["good"], told["bad"]
    assert (good["state"], good["history"]) == ("SUCCEEDED", ["PENDING", "RUNNING", "SUCCEEDED"])
    assert good["tasks"] == {"root": "SUCCEEDED", "say": "SUCCEEDED"}
    assert (bad["state"], bad["tasks"]["say"]) == ("FAILED", "FAILED")
    assert "say" in bad["error"]
    assert (told["listed"], told["total_size"]) == (["bad", "good"], 2)
    assert "bad" in told["failed"]
    assert "good" not in told["failed"]
    with urlopen(f"http://{server.http}/apis/v1alpha1/runs/{bad['run_id']}/nodes/{bad['pods'][-1]}/log") as log:
        assert log.read() == b"fail\n"


def test_a_terminated_run_ends_the_wait_for_it_and_is_archived_restored_and_deleted(act: Act) -> None:
    told = act("lifetime")
    assert told["asked"] in ("CANCELING", "FAILED")
    assert (told["ended"]["state"], told["ended"]["history"][-2:]) == ("FAILED", ["CANCELING", "CANCELED"])
    assert told["ended"]["error"] == "terminated by a client of KFP"
    assert (told["archived"], told["restored"], told["deleted"]) == ("ARCHIVED", "AVAILABLE", 404)


def test_a_failed_run_is_retried_and_a_good_one_is_not(act: Act) -> None:
    told = act("retry")
    assert told["again"] != "SUCCEEDED"
    assert told["ended"]["history"] == ["PENDING", "RUNNING", "FAILED", "PENDING", "RUNNING", "FAILED"]
    assert told["ended"]["histories"]["say"] == ["PENDING", "RUNNING", "FAILED", "PENDING", "RUNNING", "FAILED"]
    assert len(told["ended"]["pods"]) == 2
    assert told["refused"] == 409


def test_a_recurring_run_makes_runs_until_it_is_disabled(act: Act) -> None:
    told = act("recurring")
    assert (told["first"]["state"], told["first"]["parameters"]) == ("SUCCEEDED", {"text": "1"})
    assert told["first"]["name"] == "often-1"
    assert told["disabled"] == ["DISABLED", "DISABLE"]
    assert told["enabled"] == ["ENABLED", "ENABLE", True, 3]
    assert told["cron"] == "0 0 9 1 1 ?"
    assert (told["listed"], told["deleted"], told["kept"]) == (["never", "often"], 404, True)
