"""The command line, short of serving."""

from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from penstock_server.main.cli import app
from penstock_server.main.settings import SETTINGS
from penstock_server.store.migrations import all_files


@pytest.fixture
def call() -> "Call":
    return Call()


class Call:
    """Calls the program in this process, with nothing in the environment."""

    def __call__(self, *arguments: str, **environ: str) -> Result:
        nothing = {setting.variable: None for setting in SETTINGS.values()}
        wide = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
        return CliRunner().invoke(app, arguments, env={**nothing, "PENSTOCK_CONFIG": None, **wide, **environ})


def test_every_setting_is_an_option_of_serve(call: Call) -> None:
    help_text = call("serve", "--help").stdout
    for setting in SETTINGS.values():
        assert setting.option in help_text
    assert "[default: 127.0.0.1:8887]" in help_text


def test_the_settings_in_force_are_printed_with_where_they_came_from(call: Call, tmp_path: Path) -> None:
    config = tmp_path / "penstock.toml"
    config.write_text("poll_s = 1.5\n")
    result = call("config", "--runs-max", "7", "--config", str(config), PENSTOCK_DRAIN_S="3")
    lines = {line.split(" = ")[0]: line.split("# ")[1] for line in result.stdout.splitlines()}
    assert result.exit_code == 0
    assert (lines["runs_max"], lines["drain_s"]) == ("--runs-max", "PENSTOCK_DRAIN_S")
    assert (lines["poll_s"], lines["data_dir"]) == (f"{config}: poll_s", "default")


def test_the_version_is_printed(call: Call) -> None:
    assert call("version").stdout.startswith("penstock-server 0.")


@pytest.mark.parametrize("command", ["serve", "config"])
def test_a_wrong_setting_is_one_line_and_status_2(call: Call, command: str) -> None:
    result = call(command, "--runs-max", "none")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "penstock-server: --runs-max: 'none' is not a whole number\n"


def test_migrate_asks_for_a_database(call: Call) -> None:
    result = call("migrate")
    assert result.exit_code == 2
    assert "--database-url" in result.stderr


def test_migrate_applies_what_is_missing_and_may_be_repeated(call: Call, empty_dsn: str) -> None:
    first, second = (call("migrate", "--database-url", empty_dsn) for _ in range(2))
    assert first.stdout.splitlines()[:-1] == [f"applied {file.name}" for file in all_files()]
    assert second.stdout == "the database is up to date\n"
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("SELECT 1 FROM run")


def test_migrate_tells_of_a_database_that_does_not_answer(call: Call, tmp_path: Path) -> None:
    result = call("migrate", "--database-url", f"postgresql://me@/x?host={tmp_path}")
    assert result.exit_code == 1
    assert "the database does not answer" in result.stderr
    assert "No such file" in result.stderr
