"""All commands of `kfp`, unchanged, against a real server: of the newest SDK, and of the oldest that speaks v2beta1."""

from pathlib import Path

import pytest

from tests.compat.conftest import act_out
from tests.servers import running

LEFT_OUT = {
    "2.0.0": {"a_version_is_added_by_the_name_of_its_pipeline": "it asks its own client for too much, and fails"}
}
"""By version of the SDK: stories that it cannot act out, with the reason."""

ELSEWHERE = {"diagnose-me"}
"""Commands that ask no server of pipelines: it calls `gcloud`, `gsutil` and `kubectl`, which have to be there."""

pytestmark = pytest.mark.slow


def test_every_command_does_what_its_story_says(each_kfp_python: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        told = act_out("commands", each_kfp_python, server, tmp_path, LEFT_OUT)
    assert not told["wrong"], "\n".join(told["wrong"].values())
    assert sorted({*told["succeeded"], *ELSEWHERE}) == told["commands"]
    assert LEFT_OUT.get(told["version"], {}).keys() <= set(told["stories"])
