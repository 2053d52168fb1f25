"""Where outputs are placed: declared places, places beside them, handed on inputs, elsewhere."""

import pytest

from penstock_agent.places import Place, Places, ToldArtifact, told_artifacts, told_place
from penstock_agent.plan import OutputArtifact

PLACES = Places(
    declared={"model": OutputArtifact("/penstock/outputs/model", "s3://b/r/model")},
    output_root="s3://b/r",
    outputs="/penstock/outputs",
    live="/penstock",
    work="/penstock/work",
    handed_in=frozenset({"/penstock/inputs/data.0"}),
)


@pytest.mark.parametrize(
    ("told", "place"),
    [
        (("/penstock/outputs/model",), ("s3://b/r/model", "/penstock/outputs/model")),
        (("",), ("s3://b/r/model", "/penstock/outputs/model")),
        (("/penstock/outputs/model", "/penstock/mine"), ("s3://b/r/model", "/penstock/mine")),
        (("/penstock/outputs/model", "mine"), ("s3://b/r/model", "/penstock/work/mine")),
        (("/penstock/outputs/model/a b",), ("s3://b/r/model/a%20b", "/penstock/outputs/model/a b")),
        (("/penstock/outputs/Other",), ("s3://b/r/Other", "/penstock/outputs/Other")),
        (("/penstock/work/x",), ("s3://b/r/work/x", "/penstock/work/x")),
        (("/penstock/outputs/../../etc/passwd",), ("/penstock/outputs/../../etc/passwd", "")),
        (("/penstock/inputs/data.0",), ("/penstock/inputs/data.0", "")),
        (("/penstock/outputs/.penstock/report.json",), ("/penstock/outputs/.penstock/report.json", "")),
        (("/penstockish",), ("/penstockish", "")),
        (("gs://bucket/model",), ("gs://bucket/model", "")),
    ],
)
def test_an_artifact_has_its_place(told: tuple[str, ...], place: tuple[str, str]) -> None:
    assert PLACES.place("model", ToldArtifact(*told)) == Place(*place)


@pytest.mark.parametrize(
    ("told", "is_list", "listed"),
    [
        (None, False, [{}]),
        (None, True, [{}]),
        ({}, True, []),
        ({"artifacts": []}, False, [{}]),
        ({"artifacts": [{"uri": "/x"}, {}]}, True, [{"uri": "/x"}, {}]),
    ],
)
def test_artifacts_are_told_by_the_executor(told: object, is_list: bool, listed: list[object]) -> None:
    assert told_artifacts(told, is_list=is_list) == listed


@pytest.mark.parametrize("told", [{"artifacts": {"a": 1}}, {"artifacts": ["a"]}, {"artifacts": "a"}])
def test_another_form_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="KFP"):
        told_artifacts(told, is_list=False)


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({}, ToldArtifact("/declared")),
        ({"uri": "/x", "custom_path": "/y"}, ToldArtifact("/x", "/y")),
        ({"customPath": "/z"}, ToldArtifact("/declared", "/z")),
    ],
)
def test_where_one_lies_is_told_in_either_spelling(item: dict[str, str], place: ToldArtifact) -> None:
    assert told_place(item, "/declared") == place
