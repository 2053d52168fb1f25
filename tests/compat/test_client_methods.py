"""All of `kfp.Client`, unchanged, against a real server: by the newest SDK, and by the oldest that speaks v2beta1."""

import re
from pathlib import Path

import pytest

from tests.compat.conftest import ROOT, act_out
from tests.servers import running

LEFT_OUT = {
    "2.0.0": {
        "functions_are_uploaded": ["upload_pipeline_from_pipeline_func", "upload_pipeline_version_from_pipeline_func"],
        "a_cache_key_is_taken": [],  # No method has the argument `cache_key` yet.
    }
}
"""By version of the SDK: stories that it cannot act out, with the methods that it lacks."""

pytestmark = pytest.mark.slow


def test_every_method_does_what_its_story_says(each_kfp_python: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        told = act_out("methods", each_kfp_python, server, tmp_path, LEFT_OUT)
    assert not told["wrong"], "\n".join(told["wrong"].values())
    assert told["answered"] == told["methods"]
    left_out = LEFT_OUT.get(told["version"], {})
    assert left_out.keys() <= set(told["stories"])
    assert not set(told["methods"]) & {method for lacking in left_out.values() for method in lacking}


@pytest.mark.parametrize("requirements", ["kfp", "kfp-oldest"])
def test_the_guide_names_the_client(requirements: str) -> None:
    pinned = (ROOT / "requirements" / f"{requirements}.txt").read_text()
    (version,) = re.findall(r"^kfp==(\S+)", pinned, re.MULTILINE)
    guide = (ROOT / "docs" / "guides" / "kfp.md").read_text()
    assert re.search(rf"`kfp\.Client` of `kfp` .*\b{re.escape(version)}\b", guide)
