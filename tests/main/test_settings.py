"""Settings: where they come from, what is refused, how they are shown."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from penstock_server.main.declared import SettingError, masked
from penstock_server.main.setting_groups.steps import cores
from penstock_server.main.settings import SETTINGS, Settings, config_text, load_settings
from penstock_server.main.settings_page import settings_page

ROOT = Path(__file__).resolve().parent.parent.parent
NOTHING: Mapping[str, str] = {}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.toml"
    path.write_text('max_parallel_steps = 3\nlog_level = "debug"\nallowed_origins = ["https://a.example"]\n')
    return path


def load(options: Mapping[str, str | None] = NOTHING, environ: Mapping[str, str] = NOTHING) -> Settings:
    return load_settings(options, environ).settings


def test_defaults_need_nothing_and_listen_on_loopback() -> None:
    settings = load()
    assert settings == Settings()
    assert (settings.grpc_listen, settings.http_listen) == ("127.0.0.1:8887", "127.0.0.1:8888")
    assert settings.max_parallel_steps == cores()


def test_the_command_line_counts_before_the_environment_and_that_before_the_file(config: Path) -> None:
    environ = {"PENSTOCK_CONFIG": str(config), "PENSTOCK_MAX_PARALLEL_STEPS": "4", "PENSTOCK_LOG_LEVEL": "error"}
    loaded = load_settings({"max_parallel_steps": "5", "log_level": None}, environ)
    assert loaded.settings == replace(
        Settings(), max_parallel_steps=5, log_level="error", allowed_origins=("https://a.example",)
    )
    assert loaded.origins["max_parallel_steps"] == "--max-parallel-steps"
    assert loaded.origins["log_level"] == "PENSTOCK_LOG_LEVEL"
    assert loaded.origins["allowed_origins"] == f"{config}: allowed_origins"
    assert loaded.origins["data_dir"] == "default"


def test_a_file_named_on_the_command_line_counts_before_that_of_the_environment(config: Path) -> None:
    loaded = load_settings(NOTHING, {"PENSTOCK_CONFIG": "/nowhere"}, config)
    assert loaded.settings.max_parallel_steps == 3


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("data_dir", "~/x", Path("~/x").expanduser()),
        ("max_parallel_steps", "12", 12),
        ("step_grace_s", "0.5", 0.5),
        ("metrics", "off", False),
        ("metrics", "TRUE", True),
        ("step_environ", " A, B,,", ("A", "B")),
        (
            "allowed_origins",
            "https://a.example:8443,http://localhost:1",
            ("https://a.example:8443", "http://localhost:1"),
        ),
        ("allowed_origins", "*", ("*",)),
        ("grpc_listen", "[::1]:0", "[::1]:0"),
        ("database_url", "host=/run user=me", "host=/run user=me"),
        ("artifacts_url", "s3://My-bucket/a", "s3://My-bucket/a"),
        ("artifacts_url", "file:///srv/artifacts", "file:///srv/artifacts"),
    ],
)
def test_text_is_read_by_the_setting_s_type(name: str, text: str, value: Any) -> None:
    assert getattr(load({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("max_parallel_steps", "many", "not a whole number"),
        ("max_parallel_steps", "0", "less than 1"),
        ("max_parallel_steps", "1.5", "not a whole number"),
        ("step_grace_s", "nan", "not a finite number"),
        ("lease_ttl_s", "100000", "more than 3600"),
        ("metrics", "maybe", "neither true nor false"),
        ("log_format", "xml", "not one of auto, human, json"),
        ("grpc_listen", "8887", "no address"),
        ("http_listen", "localhost:99999", "no address"),
        ("allowed_origins", "https://a.example/", "no origin"),
        ("database_url", "mysql://x", "begin with postgresql://"),
        ("otlp_endpoint", "localhost:4317", "begin with http"),
        ("artifacts_endpoint", "localhost:9000", "begin with http"),
        ("kubernetes_stage_limits", "memory", "no resource"),
        ("kubernetes_stage_requests", "cpu=1,memory=much", "'much' is no quantity"),
        ("artifacts_url", "/folder", "no such place"),
        ("artifacts_url", "ftp://host/folder", "no such place"),
        ("artifacts_url", "s3:///folder", "no such place"),
        ("artifacts_url", "s3://bucket/a//b", "no such place"),
        ("artifacts_url", "s3://key:secret@bucket/a", r"s3://key:\*\*\*@bucket/a' is no such place"),
    ],
)
def test_a_wrong_value_is_told_with_its_option(name: str, text: str, says: str) -> None:
    with pytest.raises(SettingError, match=f"^{SETTINGS[name].option}: .*{says}"):
        load({name: text})


def test_a_wrong_value_is_told_with_its_variable() -> None:
    with pytest.raises(SettingError, match=r"^PENSTOCK_DRAIN_S: "):
        load(environ={"PENSTOCK_DRAIN_S": "x"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_paralel_steps = 1", "no setting max_paralel_steps; did you mean max_parallel_steps?"),
        ("max_parallel_steps = true", "True is not a number"),
        ("max_parallel_steps = [1]", "is not a number"),
        ("data_dir = 7", "not text"),
        ("allowed_origins = [1]", "not a list of texts"),
        ("metrics = 1", "neither true nor false"),
        ("=", "Invalid"),
    ],
)
def test_a_wrong_file_is_told_with_its_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=f"{path}.*") as raised:
        load_settings(NOTHING, NOTHING, path)
    assert says in str(raised.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        load_settings(NOTHING, NOTHING, tmp_path / "nothing.toml")


def test_what_is_printed_can_be_a_file_again(tmp_path: Path, config: Path) -> None:
    loaded = load_settings({"data_dir": '/tmp/a "b" \\c', "metrics": "false"}, NOTHING, config)
    path = tmp_path / "again.toml"
    path.write_text(config_text(loaded))
    assert load_settings(NOTHING, NOTHING, path).settings == loaded.settings
    assert set(tomllib.loads(path.read_text())) == set(SETTINGS)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db:5432/penstock", "postgresql://me:***@db:5432/penstock"),
        ("postgresql://me@db/penstock?password=secret&x=1", "postgresql://me@db/penstock?password=***&x=1"),
        ("host=db password=hushed user=me", "host=db password=*** user=me"),
        ("postgresql://db/penstock", "postgresql://db/penstock"),
        ("", ""),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert f'database_url = "{shown}"' in config_text(load_settings({"database_url": url}, NOTHING))


def test_passwords_in_lists_are_masked() -> None:
    loaded = load_settings({"step_extra_index_urls": "https://u:hushed@a/,https://b/"}, NOTHING)
    assert "hushed" not in config_text(loaded)
    assert "https://u:***@a/" in config_text(loaded)


def test_every_field_of_the_settings_stands_in_a_group() -> None:
    assert set(SETTINGS) == {field.name for field in fields(Settings)}


def test_every_setting_is_documented() -> None:
    for setting in SETTINGS.values():
        assert setting.declared.doc.endswith("."), setting.name
        assert setting.declared.metavar.isprintable()
        assert setting.name.endswith("_s") == (setting.declared.unit == "s"), setting.name


def test_the_documentation_is_made_of_the_settings() -> None:
    assert (ROOT / "docs" / "reference" / "settings.md").read_text() == settings_page()
