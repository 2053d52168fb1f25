"""Stories of `kfp`: runs and recurring runs."""

from pathlib import Path

from tests.compat.clients.command_line import CommandLine
from tests.compat.clients.samples import NOBODY, compiled, talk, where
from tests.compat.clients.telling import Story, equal


def runs(line: CommandLine, folder: Path) -> None:
    made = line.told("run", "create", "-e", "Commands", "-r", "first", "-f", compiled(talk, folder), "text=hi")
    id = made["run_id"]
    equal((made["display_name"], made["runtime_config"]["parameters"]), ("first", {"text": "hi"}))
    equal(ended(line, id), "SUCCEEDED")
    made = line.told("run", "get", id)
    equal(made["state"], "SUCCEEDED")
    equal(line.told("run", "list", "--experiment-id", made["experiment_id"], "--max-size", "5"), [made])
    equal(line.told("run", "list", "--filter", where(state="FAILED")), [])
    equal(line.told("run", "archive", id)["storage_state"], "ARCHIVED")
    equal(line.told("run", "unarchive", id)["storage_state"], "AVAILABLE")
    equal(line.text("run", "delete", id, typed="n\n").count("deleted"), 0)
    equal(line.told("run", "delete", id, typed="y\n"), id)
    assert "404" in line.failure("run", "get", id)


def a_run_is_watched_to_its_end(line: CommandLine, folder: Path) -> None:
    package = compiled(talk, folder)
    good = line.text("run", "create", "-e", "Watched", "-f", package, "--watch")
    assert "Run is finished with state SUCCEEDED." in good, good
    bad = line.told("run", "create", "-e", "Watched", "-f", package, "text=fail")
    equal(ended(line, bad["run_id"]), "FAILED")


def a_version_runs(line: CommandLine, folder: Path) -> None:
    pipeline = line.told("pipeline", "create", compiled(talk, folder), "-p", "To run")["pipeline_id"]
    (version,) = line.told("pipeline", "list-versions", pipeline)
    made = line.told("run", "create", "-e", "Versions", "-n", "To run", "-v", version["pipeline_version_id"])
    equal(made["pipeline_version_reference"]["pipeline_version_id"], version["pipeline_version_id"])
    equal(ended(line, made["run_id"]), "SUCCEEDED")


def runs_that_cannot_be_are_refused(line: CommandLine, folder: Path) -> None:
    package = compiled(talk, folder)
    assert "404" in line.failure("run", "get", NOBODY)
    assert "colour" in line.failure("run", "create", "-e", "Refused", "-f", package, "colour=red")


def recurring_runs(line: CommandLine, folder: Path) -> None:
    made = line.told(
        *("recurring-run", "create", "--experiment-name", "Yearly", "--job-name", "yearly", "--disabled"),
        *("--cron-expression", "0 0 9 1 1 ?", "--max-concurrency", "2", "--no-catchup", "--description", "rarely"),
        *("--start-time", "2030-01-01T00:00:00Z", "--end-time", "2040-01-01T00:00:00Z"),
        *("--pipeline-package-path", compiled(talk, folder), "text=a=b"),
    )
    id = made["recurring_run_id"]
    equal((made["display_name"], made["description"], made["status"]), ("yearly", "rarely", "DISABLED"))
    equal((made["max_concurrency"], made["no_catchup"]), ("2", True))
    equal(made["runtime_config"]["parameters"], {"text": "a=b"})
    equal(made["trigger"]["cron_schedule"]["cron"], "0 0 9 1 1 ?")
    (listed,) = line.told("recurring-run", "list", "--experiment-id", made["experiment_id"])
    for seen in (listed, line.told("recurring-run", "get", id)):
        equal(seen | {"updated_at": None}, made | {"updated_at": None})  # It changes with the job's next time.
    equal(line.told("recurring-run", "enable", id)["status"], "ENABLED")
    equal(line.told("recurring-run", "disable", id)["status"], "DISABLED")
    equal(line.told("recurring-run", "delete", id, typed="y\n"), id)
    assert "404" in line.failure("recurring-run", "get", id)


def ended(line: CommandLine, run_id: str) -> str:
    """The state in which a run ends that is watched."""
    last = line.text("run", "get", run_id, "--watch").splitlines()[-1]
    return last.removeprefix("Run is finished with state ").removesuffix(".")


STORIES: tuple[Story, ...] = (
    runs,
    a_run_is_watched_to_its_end,
    a_version_runs,
    runs_that_cannot_be_are_refused,
    recurring_runs,
)
