"""Stories of `kfp.Client`: the server, the user's namespace, experiments."""

import json
from pathlib import Path
from typing import Any

from tests.compat.clients.samples import NOBODY, ODD_NAMES, where
from tests.compat.clients.telling import Story, equal, refusal


def the_server_is_well(client: Any, _folder: Path) -> None:
    told = client.get_kfp_healthz().to_dict()
    equal(told["multi_user"], False)
    equal(told.get("pipeline_store", "database"), "database")


def a_namespace_is_kept_by_the_client_alone(client: Any, _folder: Path) -> None:
    """A single user's server has one namespace, whatever the client believes."""
    equal(client.get_user_namespace(), "")
    client.set_user_namespace("team")
    equal(client.get_user_namespace(), "team")
    equal(json.loads(Path("~/.config/kfp/context.json").expanduser().read_text())["namespace"], "team")
    made = client.create_experiment("in no namespace")
    client.set_user_namespace("")
    equal(client.get_experiment(experiment_name="in no namespace").experiment_id, made.experiment_id)
    equal(made.namespace or None, None)
    client.delete_experiment(made.experiment_id)


def an_experiment_lives(client: Any, _folder: Path) -> None:
    made = client.create_experiment("My Experiment", description="first")
    equal((made.display_name, made.description, made.storage_state), ("My Experiment", "first", "AVAILABLE"))
    equal(client.create_experiment("My Experiment", description="again").experiment_id, made.experiment_id)
    equal(client.get_experiment(experiment_id=made.experiment_id), made)
    equal(client.get_experiment(experiment_name="My Experiment"), made)
    client.archive_experiment(made.experiment_id)
    equal(client.get_experiment(made.experiment_id).storage_state, "ARCHIVED")
    client.unarchive_experiment(made.experiment_id)
    equal(client.get_experiment(made.experiment_id).storage_state, "AVAILABLE")
    client.delete_experiment(made.experiment_id)
    refusal(404, client.get_experiment, made.experiment_id)
    equal(client.list_experiments(filter=where(display_name="My Experiment")).experiments, None)


def experiments_are_found(client: Any, _folder: Path) -> None:
    for name in ("e0", "e1", "e2"):
        client.create_experiment(name)
    first = client.list_experiments(page_size=2, sort_by="created_at desc")
    rest = client.list_experiments(page_token=first.next_page_token, page_size=2, sort_by="created_at desc")
    equal(
        [[each.display_name for each in page.experiments] for page in (first, rest)], [["e2", "e1"], ["e0", "Default"]]
    )
    equal((first.total_size, rest.total_size, rest.next_page_token), (4, 4, None))
    found = client.list_experiments(filter=json.dumps(SUBSTRING), sort_by="display_name")
    equal([each.display_name for each in found.experiments], ["e0", "e1", "e2"])
    for each in found.experiments:
        client.delete_experiment(each.experiment_id)


SUBSTRING = {
    "predicates": [
        {"operation": "IS_SUBSTRING", "key": "display_name", "stringValue": "E"},
        {"operation": "NOT_EQUALS", "key": "display_name", "stringValue": "Default"},
    ]
}


def experiments_may_have_odd_names(client: Any, _folder: Path) -> None:
    for name in ODD_NAMES:
        made = client.create_experiment(name, description=name)
        equal((made.display_name, made.description), (name, name))
        equal(client.create_experiment(name), made)
        client.delete_experiment(made.experiment_id)


def experiments_that_cannot_be_are_refused(client: Any, _folder: Path) -> None:
    for call in (
        client.get_experiment,
        client.archive_experiment,
        client.unarchive_experiment,
        client.delete_experiment,
    ):
        assert NOBODY in refusal(404, call, experiment_id=NOBODY)
    default = client.get_experiment(experiment_name="Default").experiment_id
    refusal(409, client.delete_experiment, default)
    assert "display_name" in refusal(400, client.create_experiment, "x" * 200)
    assert "sort_by" in refusal(400, client.list_experiments, sort_by="colour")


STORIES: tuple[Story, ...] = (
    the_server_is_well,
    a_namespace_is_kept_by_the_client_alone,
    an_experiment_lives,
    experiments_are_found,
    experiments_may_have_odd_names,
    experiments_that_cannot_be_are_refused,
)
