"""Stories of `kfp`: experiments and pipelines."""

import os
import subprocess
import sys
from pathlib import Path

from tests.compat.clients.command_line import CommandLine
from tests.compat.clients.samples import NOBODY, compiled, rest, talk, where
from tests.compat.clients.telling import Story, equal


def the_installed_program_finds_the_server(line: CommandLine, _folder: Path) -> None:
    program = Path(sys.executable).parent / "kfp"
    environ = os.environ | {"KFP_ENDPOINT": line.host}
    done = subprocess.run([program, "experiment", "list"], env=environ, capture_output=True, text=True, check=True)
    head, default = done.stdout.splitlines()
    equal(head.split(), ["ID", "NAME", "CREATED", "AT", "STORAGE", "STATE"])
    equal((default.split()[1], default.split()[-1]), ("Default", "AVAILABLE"))


def experiments(line: CommandLine, _folder: Path) -> None:
    made = line.told("experiment", "create", "By Command", "--description", "of the program")
    id = made["experiment_id"]
    equal((made["display_name"], made["description"]), ("By Command", "of the program"))
    equal(line.told("experiment", "get", id), made)
    listed = line.told("experiment", "list", "--max-size", "1", "--sort-by", "created_at desc")
    equal(listed, [made])
    equal(line.told("experiment", "list", "--filter", where(display_name="By Command")), [made])
    equal(line.told("experiment", "archive", "--experiment-id", id)["storage_state"], "ARCHIVED")
    equal(line.told("experiment", "unarchive", "--experiment-name", "By Command")["storage_state"], "AVAILABLE")
    equal(line.told("experiment", "delete", id, typed="y\n"), id)
    assert "404" in line.failure("experiment", "get", id)


def pipelines(line: CommandLine, folder: Path) -> None:
    made = line.told("pipeline", "create", compiled(talk, folder), "-p", "Talk", "-d", "says something")
    id = made["pipeline_id"]
    equal((made["display_name"], made["description"]), ("Talk", "says something"))
    equal(line.told("pipeline", "get", id), made)
    equal(line.told("pipeline", "list"), [made])
    equal(line.told("pipeline", "list", "--filter", where(display_name="Other")), [])
    version = line.told("pipeline", "create-version", compiled(rest, folder), "-v", "v2", "-p", id, "-d", "sleeps")
    equal((version["display_name"], version["description"], version["pipeline_id"]), ("v2", "sleeps", id))
    equal(line.told("pipeline", "get-version", id, version["pipeline_version_id"]), version)
    newest, first = line.told("pipeline", "list-versions", id, "--sort-by", "created_at desc")
    equal((newest, first["display_name"]), (version, "Talk"))
    assert "409" in line.failure("pipeline", "create", compiled(talk, folder), "-p", "Talk")
    assert "400" in line.failure("pipeline", "delete", id, typed="y\n")
    for each in (newest, first):
        gone = line.told("pipeline", "delete-version", id, each["pipeline_version_id"], typed="y\n")
        equal(gone, each["pipeline_version_id"])
    equal(line.told("pipeline", "delete", id, typed="y\n"), id)
    assert "404" in line.failure("pipeline", "get", id)


def a_version_is_added_by_the_name_of_its_pipeline(line: CommandLine, folder: Path) -> None:
    package = compiled(talk, folder)
    id = line.told("pipeline", "create", package, "-p", "Named")["pipeline_id"]
    equal(line.told("pipeline", "create-version", package, "-v", "v2", "-n", "Named")["pipeline_id"], id)


def old_and_plural_names_lead_to_the_same(line: CommandLine, folder: Path) -> None:
    made = line.told("pipelines", "upload", compiled(talk, folder), "-p", "Old")
    equal(line.told("pipelines", "get", made["pipeline_id"]), made)
    assert "404" in line.failure("recurring-runs", "get", NOBODY)


STORIES: tuple[Story, ...] = (
    the_installed_program_finds_the_server,
    experiments,
    pipelines,
    a_version_is_added_by_the_name_of_its_pipeline,
    old_and_plural_names_lead_to_the_same,
)
