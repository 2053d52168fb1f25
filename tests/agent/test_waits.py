"""What stages do, and say, while their store does not answer, refuses, or takes long."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock_agent import exits, notices
from penstock_agent.folder_store import FolderStore
from penstock_agent.notices import FETCHING_INPUTS, STORE_REFUSED, STORE_UNREACHABLE, last_notice, say
from penstock_agent.plan import StoreOptions
from penstock_agent.stage_in import stage_in
from penstock_agent.stores import open_store
from tests.agent.pod import AWAY, TIMEOUT_S, Pod, agent

HELD_TO_MODES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""Root may read and write everything otherwise."""


@pytest.mark.parametrize("pod", ["s3"], indirect=True)
def test_keys_that_will_not_do_are_told_apart_from_a_store_that_is_away(pod: Pod) -> None:
    assert pod.run("stage-in", AWS_SECRET_ACCESS_KEY="another") == exits.STORE_REFUSED
    assert "does not let us" in pod.message
    assert not pod.message.rstrip().endswith(":")


@pytest.mark.parametrize("pod", ["s3"], indirect=True)
def test_outputs_that_cannot_be_stored_in_time_are_told(pod: Pod, made: Path) -> None:
    (made / "outputs/model").write_text("x")
    assert pod.end(pod.plan._replace(grace_s=3), PENSTOCK_STORE=AWAY.to_text()) == exits.STORE_UNAVAILABLE
    assert "could not be stored" in pod.message
    assert "http://127.0.0.1:1: Connection refused" in pod.message


@pytest.mark.parametrize("pod", ["s3"], indirect=True)
def test_a_store_that_does_not_answer_is_told_in_the_log_while_it_is_waited_for(pod: Pod) -> None:
    environ = pod.environ(PENSTOCK_STORE=AWAY.to_text())
    with subprocess.Popen(agent("stage-in"), env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        reason, message = last_notice(process.stderr.readline()) or ("", "")
        process.kill()
    assert reason == STORE_UNREACHABLE
    assert "HEAD http://127.0.0.1:1: Connection refused; asked again until" in message


@pytest.fixture
def kept_umask() -> Iterator[None]:
    """*stage-in* changes that of its process."""
    umask = os.umask(0)
    yield
    os.umask(umask)


@pytest.mark.usefixtures("kept_umask")
def test_inputs_that_take_long_are_told_with_what_there_is_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    is_told = threading.Event()

    class SlowStore(FolderStore):
        def fetch(self, uri: str, target: str, digest: str = "") -> bool:
            return super().fetch(uri, target, digest) and is_told.wait(TIMEOUT_S)

    def tell(reason: str, message: str) -> None:
        say(reason, message)
        if "1.5 MB" in message:
            is_told.set()

    options = StoreOptions(root=f"file://{tmp_path}/store")
    pod = Pod(tmp_path, options, SlowStore(f"{tmp_path}/store"))
    pod.store.write(f"{options.root}/data", bytes(1_500_000))
    monkeypatch.setattr(notices, "FIRST_S", 0.05)
    monkeypatch.setattr(notices, "say", tell)
    monkeypatch.setattr("penstock_agent.stage_in.store_of", lambda _: pod.store)
    stage_in(pod.environ())
    assert last_notice(capsys.readouterr().err) == (FETCHING_INPUTS, f"{options.root}/data: 1.5 MB so far")


@pytest.fixture
def private(tmp_path: Path) -> Pod:
    """A pod with an input, whose store lies in a folder that cannot be written to."""
    options = StoreOptions(root=f"file://{tmp_path}/store")
    pod = Pod(tmp_path, options, open_store(options))
    pod.store.write(f"{options.root}/data", b"1,2,3")
    assert pod.run("stage-in") == exits.DONE
    for folder in ("store", "store/.unpublished"):
        (tmp_path / folder).chmod(0o555)
    return pod


def test_an_input_that_we_may_not_read_is_told_apart_from_one_that_is_not_there(private: Pod) -> None:
    (private.root / "store/data").chmod(0)
    assert private.run("stage-in", through=HELD_TO_MODES) == exits.STORE_REFUSED
    assert f"the input artifact {private.options.root}/data could not be fetched" in private.message
    assert "Permission denied" in private.message


def test_a_fence_that_we_may_not_see_keeps_the_step_from_starting(private: Pod) -> None:
    (private.root / "store").chmod(0)
    assert private.run("stage-in", through=HELD_TO_MODES) == exits.STORE_REFUSED
    assert "does not let user" in private.message


@pytest.mark.parametrize("left", ["outputs/model", "parameters/accuracy"])
def test_outputs_that_are_refused_are_offered_again_and_told_apart_from_a_store_that_is_away(
    private: Pod, left: str
) -> None:
    """The step will not be run again for that."""
    (private.root / "penstock" / left).write_text("x")
    assert private.end(private.plan._replace(grace_s=4), through=HELD_TO_MODES) == exits.STORE_REFUSED
    assert "does not let user" in private.message
    assert (last_notice(private.log.splitlines()[0]) or ("",))[0] == STORE_REFUSED
