"""`-p name=value`."""

from pathlib import Path

import pytest

from penstock.cli.failures import UsageError
from penstock.cli.values import read_parameters, read_value

TYPES = {
    "text": "STRING",
    "count": "NUMBER_INTEGER",
    "rate": "NUMBER_DOUBLE",
    "on": "BOOLEAN",
    "items": "LIST",
    "options": "STRUCT",
    "odd": "",
}


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("text=5", "5"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ('text={"a": 1}', '{"a": 1}'),
        ("text=@@home", "@home"),
        ("count=5", 5),
        ("count=5.0", 5),
        ("count=-1e3", -1000),
        ("rate=5", 5),
        ("rate=0.25", 0.25),
        ("on=true", True),
        ("items=[1, 2.5, null]", [1, 2.5, None]),
        ('options={"a": {"b": 1}}', {"a": {"b": 1}}),
        ('odd="x"', "x"),
    ],
)
def test_values_are_read_by_their_declared_types(assignment: str, value: object) -> None:
    (read,) = read_parameters([assignment], TYPES).values()
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("count", "NAME=VALUE"),
        ("=5", "NAME=VALUE"),
        ("count=five", "NUMBER_INTEGER.*-p count=5"),
        ("count=2.5", "NUMBER_INTEGER"),
        ("count=true", "NUMBER_INTEGER"),
        ("count=", "NUMBER_INTEGER"),
        ("rate=NaN", "NUMBER_DOUBLE"),
        ("on=True", "BOOLEAN.*true"),
        ("items={}", "LIST"),
        ("options=[]", "STRUCT"),
        ("items=" + "[" * 100_000, "LIST"),
        ("cuont=5", "did you mean count"),
    ],
)
def test_wrong_values_say_what_would_be_right(assignment: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_parameters([assignment], TYPES)


def test_a_name_may_be_given_once() -> None:
    with pytest.raises(UsageError, match="twice"):
        read_parameters(["count=1", "count=2"], TYPES)


def test_a_pipeline_without_parameters_takes_none() -> None:
    with pytest.raises(UsageError, match="takes no parameters"):
        read_parameters(["count=1"], {})


def test_values_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text('{"a": 1}\n')
    (tmp_path / "text").write_text(" as it is\n")
    assignments = [f"options=@{tmp_path}/options.json", f"text=@{tmp_path}/text"]
    assert read_parameters(assignments, TYPES) == {"options": {"a": 1}, "text": " as it is\n"}


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_parameters([f"text=@{tmp_path}/none"], TYPES)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="binary"):
        read_parameters([f"text=@{tmp_path}/binary"], TYPES)


def test_literals_of_unknown_types_are_json() -> None:
    assert read_value("odd", "TASK_CONFIG", "[1]") == [1]
