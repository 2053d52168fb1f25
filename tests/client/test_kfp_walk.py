"""What a walk asks of the server: many look-ups at a time, and no more than is needed."""

import uuid
from typing import Any

from penstock import Client
from penstock.kfp_host import KfpAccess, KfpHost
from penstock.kfp_results import Choice, Kind, Outcome, Result
from penstock.kfp_walk import RUN_PAGE_SIZE, KfpWalk
from penstock.v1 import kfp_import_service_pb2 as pb
from tests.client.kfp_answers import Answer, answering
from tests.client.scripted import ScriptedServer

RUNS = 3 * RUN_PAGE_SIZE
NOTHING: dict[str, Any] = {}


def uid(number: int) -> str:
    return str(uuid.UUID(int=number))


def walk(client: Client, runs: list[dict[str, Any]]) -> list[Result]:
    """What becomes of the runs of a KFP that has nothing else."""
    answers = {path: [Answer()] for path in ("experiments", "pipelines")} | {"runs": [Answer({"runs": runs})]}
    with answering(answers) as kfp, KfpHost(KfpAccess.at(kfp.url)) as host:
        return list(KfpWalk(host, client.kfp_imports, Choice(frozenset({Kind.RUNS}))).results())


def run(id: str) -> dict[str, Any]:
    return {"run_id": id, "display_name": id, "run_details": NOTHING}


def test_what_is_here_is_looked_up_many_at_a_time_and_not_sent_again(server: ScriptedServer, client: Client) -> None:
    def found(request: pb.FindImportedRequest, _context: object) -> pb.FindImportedResponse:
        return pb.FindImportedResponse(names={id: f"namespaces/default/runs/r{id}" for id in request.ids})

    server.on("FindImported", found)
    results = walk(client, [run(uid(number)) for number in range(RUNS)])
    assert {(each.outcome, each.name == f"namespaces/default/runs/r{each.id}") for each in results} == {
        (Outcome.THERE, True)
    }
    assert len(results) == RUNS
    assert server.requests_of(pb.ImportRunRequest) == []
    first, *pages = (len(request.ids) for request in server.requests_of(pb.FindImportedRequest))
    assert (first <= RUN_PAGE_SIZE, pages) == (True, [RUN_PAGE_SIZE] * 3)


def test_an_id_that_kfp_never_gives_is_left_to_the_server_to_refuse(server: ScriptedServer, client: Client) -> None:
    server.on("FindImported", pb.FindImportedResponse())
    server.on("ImportRun", pb.ImportRunResponse(name="namespaces/default/runs/r", is_new=True))
    walk(client, [run("what"), run(uid(1))])
    assert {tuple(request.ids) for request in server.requests_of(pb.FindImportedRequest)} == {(uid(1),)}
    sent = [request.run["run_id"] for request in server.requests_of(pb.ImportRunRequest)]
    assert sent == ["what", uid(1)]
