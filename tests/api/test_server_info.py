"""ServerService, and what holds for all services."""

from penstock.v1 import server_pb2
from penstock.v1 import server_service_pb2 as pb
from tests.api.conftest import Api


async def info(api: Api) -> server_pb2.ServerInfo:
    return (await api.server.GetServerInfo(pb.GetServerInfoRequest())).server_info


async def test_the_server_tells_of_itself(api: Api) -> None:
    told = await info(api)
    assert told.server_id == str(api.facts.server_id)
    assert (told.version, told.launcher, told.embedded_database) == ("1.2.3", "fake", True)
    assert (told.owned_run_count, told.running_step_count, told.parallel_steps_max) == (3, 2, 4)
    assert told.database_status == server_pb2.ServerInfo.DATABASE_STATUS_AVAILABLE
    assert told.database_version[0].isdecimal()
    assert told.uptime.ToNanoseconds() > 0


async def test_the_server_answers_without_its_database(api: Api) -> None:
    await api.database.close()
    told = await info(api)
    assert told.database_status == server_pb2.ServerInfo.DATABASE_STATUS_UNAVAILABLE
    assert told.database_version == ""
