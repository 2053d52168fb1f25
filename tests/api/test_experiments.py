"""ExperimentService."""

import uuid

import pytest

from penstock.v1 import experiment_pb2
from penstock.v1 import experiment_service_pb2 as pb
from penstock_server.model.states import RunState
from penstock_server.store import requests, runs
from tests import factories
from tests.api.calls import reason
from tests.api.conftest import Api
from tests.api.moving import mover

PARENT = "namespaces/default"
DEFAULT = "namespaces/default/experiments/default"


async def create(api: Api, id: str = "", request_id: str = "", **fields: object) -> experiment_pb2.Experiment:
    experiment = experiment_pb2.Experiment(**fields)  # type: ignore[arg-type]  # any fields
    request = pb.CreateExperimentRequest(parent=PARENT, experiment_id=id, experiment=experiment, request_id=request_id)
    return (await api.experiments.CreateExperiment(request)).experiment


async def test_an_experiment_is_made_and_read(api: Api) -> None:
    made = await create(api, "vision", description="d", labels={"team": "x"})
    assert (made.name, made.display_name) == (f"{PARENT}/experiments/vision", "vision")
    got = await api.experiments.GetExperiment(pb.GetExperimentRequest(name=made.name))
    assert got.experiment == made


async def test_without_an_id_one_is_made_of_the_display_name(api: Api) -> None:
    made = await create(api, display_name="Vision Team")
    assert made.name.startswith(f"{PARENT}/experiments/vision-team-")


async def test_the_same_request_makes_one_experiment(api: Api) -> None:
    id = str(uuid.uuid4())
    first = await create(api, request_id=id, display_name="Once")
    assert await create(api, request_id=id, display_name="Once") == first
    assert await reason(create(api, request_id=id, display_name="Twice")) == "REQUEST_ID_REUSED"


async def test_taken_ids_and_missing_namespaces_are_refused(api: Api) -> None:
    await create(api, "vision")
    assert await reason(create(api, "vision")) == "EXPERIMENT_EXISTS"
    request = pb.CreateExperimentRequest(
        parent="namespaces/nowhere", experiment=experiment_pb2.Experiment(display_name="x")
    )
    assert await reason(api.experiments.CreateExperiment(request)) == "NAMESPACE_NOT_FOUND"
    listing = pb.ListExperimentsRequest(parent="namespaces/nowhere")
    assert await reason(api.experiments.ListExperiments(listing)) == "NAMESPACE_NOT_FOUND"
    get = pb.GetExperimentRequest(name=f"{PARENT}/experiments/nothing")
    assert await reason(api.experiments.GetExperiment(get)) == "EXPERIMENT_NOT_FOUND"


async def test_experiments_are_listed_newest_first(api: Api) -> None:
    await create(api, "a")
    await create(api, "b")
    listed = await api.experiments.ListExperiments(pb.ListExperimentsRequest(parent=PARENT))
    assert [item.name.rpartition("/")[2] for item in listed.experiments] == ["b", "a", "default"]


async def test_an_update_without_a_mask_writes_what_is_set(api: Api) -> None:
    made = await create(api, "vision", description="d", labels={"team": "x"})
    changed = experiment_pb2.Experiment(name=made.name, display_name="Vision")
    updated = await api.experiments.UpdateExperiment(pb.UpdateExperimentRequest(experiment=changed))
    assert (updated.experiment.display_name, updated.experiment.description) == ("Vision", "d")
    request = pb.UpdateExperimentRequest(experiment=changed)
    request.update_mask.paths.append("*")
    replaced = (await api.experiments.UpdateExperiment(request)).experiment
    assert (replaced.display_name, replaced.description, dict(replaced.labels)) == ("Vision", "", {})


async def test_an_update_of_what_cannot_change_is_refused(api: Api) -> None:
    changed = experiment_pb2.Experiment(name=DEFAULT)
    request = pb.UpdateExperimentRequest(experiment=changed)
    request.update_mask.paths.append("create_time")
    assert await reason(api.experiments.UpdateExperiment(request)) == "INVALID_UPDATE_MASK"


async def test_an_experiment_goes_into_the_archive_and_back(api: Api) -> None:
    made = await create(api, "vision")
    archive = pb.ArchiveExperimentRequest(name=made.name, etag=made.etag)
    archived = (await api.experiments.ArchiveExperiment(archive)).experiment
    assert archived.HasField("archive_time")
    assert await reason(api.experiments.ArchiveExperiment(archive)) == "ETAG_MISMATCH"
    again = await api.experiments.ArchiveExperiment(pb.ArchiveExperimentRequest(name=made.name))
    assert again.experiment == archived
    filtered = pb.ListExperimentsRequest(parent=PARENT, filter="archive_time:*")
    assert [e.name for e in (await api.experiments.ListExperiments(filtered)).experiments] == [made.name]
    back = await api.experiments.UnarchiveExperiment(pb.UnarchiveExperimentRequest(name=made.name))
    assert not back.experiment.HasField("archive_time")


async def test_the_default_experiment_stays(api: Api) -> None:
    archive = pb.ArchiveExperimentRequest(name=DEFAULT)
    assert await reason(api.experiments.ArchiveExperiment(archive)) == "DEFAULT_EXPERIMENT"
    delete = pb.DeleteExperimentRequest(name=DEFAULT, force=True)
    assert await reason(api.experiments.DeleteExperiment(delete)) == "DEFAULT_EXPERIMENT"


async def test_an_experiment_without_runs_is_deleted(api: Api) -> None:
    made = await create(api, "vision")
    delete = pb.DeleteExperimentRequest(name=made.name, etag="stale")
    assert await reason(api.experiments.DeleteExperiment(delete)) == "ETAG_MISMATCH"
    delete.etag = made.etag
    await api.experiments.DeleteExperiment(delete)
    assert await reason(api.experiments.DeleteExperiment(delete)) == "EXPERIMENT_NOT_FOUND"


async def test_finished_runs_go_with_their_experiment_only_by_force(api: Api) -> None:
    made = await create(api, "vision")
    run = await factories.insert_run(api.database, experiment_id="vision")
    owner = await mover(api.database, run)
    await owner.start()
    await owner.end(RunState.FAILED)
    delete = pb.DeleteExperimentRequest(name=made.name)
    assert await reason(api.experiments.DeleteExperiment(delete)) == "EXPERIMENT_HAS_RUNS"
    delete.force = True
    await api.experiments.DeleteExperiment(delete)
    async with api.database.connection() as connection:
        assert await runs.find_by_uid(connection, run.uid) is None


async def test_by_force_open_runs_are_ended_first(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's part - to delete the run that it was asked to - is done here as soon as it is asked."""
    made = await create(api, "vision")
    run = await factories.insert_run(api.database, experiment_id="vision")
    ask = requests.request_delete

    async def ask_and_delete(*args: object, **more: object) -> bool:
        asked = await ask(*args, **more)  # type: ignore[arg-type]  # passed on
        await runs.delete(args[0], run.uid)  # type: ignore[arg-type]  # the connection
        return asked

    monkeypatch.setattr(requests, "request_delete", ask_and_delete)
    await api.experiments.DeleteExperiment(pb.DeleteExperimentRequest(name=made.name, force=True))
    get = pb.GetExperimentRequest(name=made.name)
    assert await reason(api.experiments.GetExperiment(get)) == "EXPERIMENT_NOT_FOUND"
