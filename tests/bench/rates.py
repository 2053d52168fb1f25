"""What calls cost: GetRun and CreateRun against bare handlers on the same Postgres, both with their CPU time."""

import asyncio
import multiprocessing
import time
import uuid
from collections.abc import Awaitable, Callable
from multiprocessing.synchronize import Event
from typing import Any

import grpc
import psycopg
from google.protobuf.wrappers_pb2 import StringValue
from psycopg_pool import AsyncConnectionPool

from penstock.v1 import pipeline_pb2, pipeline_service_pb2, run_pb2, run_service_pb2, run_service_pb2_grpc
from tests import pipelines
from tests.bench.bed import NAMESPACE, PASS, Bed, Row, inline

IN_FLIGHT = 32
CALLS = 3000
ROUNDS = 2

Call = Callable[[], Awaitable[object]]
Ask = Callable[["run_service_pb2_grpc.RunServiceAsyncStub"], Awaitable[object]]


def rates(bed: Bed) -> list[Row]:
    """Calls a second with 32 in flight: one keyed select, one insert."""
    run = bed.create(pipelines.chain(1, *PASS))
    bed.finish(run)
    get = run_service_pb2.GetRunRequest(name=run.name)
    rows = [_against(bed, "GetRun", "/bare/Select", lambda stub: stub.GetRun(get))]
    return rows + creates(bed)


def creates(bed: Bed) -> list[Row]:
    """Runs made on a server that drives one run at a time and has one that goes on: they wait in the database."""
    version = _version(bed)
    bed.serve("--runs-max", "1")
    blocking = bed.create(pipelines.chain(1, "sleep", "3600"))
    requests = {
        "CreateRun of a version": run_pb2.Run(pipeline_version=version),
        "CreateRun of an inline spec": inline(pipelines.chain(1, "true")),
    }
    rows = [_against(bed, name, "/bare/Insert", _creating(wanted)) for name, wanted in requests.items()]
    bed.drop_open_runs(blocking)
    return rows


def _creating(run: run_pb2.Run) -> Ask:
    create = run_service_pb2.CreateRunRequest(parent=NAMESPACE, run=run)
    return lambda stub: stub.CreateRun(create)


def _version(bed: Bed) -> str:
    """The name of a version of a pipeline of one step."""
    pipeline = pipeline_service_pb2.CreatePipelineRequest(
        parent=NAMESPACE, pipeline_id="bench", pipeline=pipeline_pb2.Pipeline()
    )
    made = bed.client.stubs.pipeline.CreatePipeline(pipeline).pipeline
    version = pipeline_pb2.PipelineVersion(spec=inline(pipelines.chain(1, "true")).inline_spec)
    request = pipeline_service_pb2.CreatePipelineVersionRequest(parent=made.name, pipeline_version=version)
    return bed.client.stubs.pipeline.CreatePipelineVersion(request).pipeline_version.name


def _against(bed: Bed, name: str, bare_method: str, call: Ask) -> Row:
    """The better of two rounds of each, taken in turns, so that what else the machine does weighs on both."""
    rounds = [_round(bed, bare_method, call) for _ in range(ROUNDS)]
    ours, floor = (max(rates) for rates in zip(*rounds, strict=True))
    return Row(f"{name}, calls a second", ours, "/s", floor, "at least 0.7")


def _round(bed: Bed, bare_method: str, call: Ask) -> tuple[float, float]:
    with BareServer(bed.dsn) as bare:
        floor = asyncio.run(_bare(bare.target, bare_method))
    return asyncio.run(_ours(bed.target, call)), floor


async def _ours(target: str, call: Ask) -> float:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        return await _rate(lambda: call(stub), CALLS)


async def _bare(target: str, method: str) -> float:
    async with grpc.aio.insecure_channel(target) as channel:
        call: Any = channel.unary_unary(method)
        payload = StringValue(value=str(uuid.UUID(int=1))).SerializeToString()
        return await _rate(lambda: call(payload), CALLS)


async def _rate(call: Call, calls: int) -> float:
    await asyncio.gather(*(call() for _ in range(IN_FLIGHT)))

    async def worker() -> None:
        for _ in range(calls // IN_FLIGHT):
            await call()

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return calls // IN_FLIGHT * IN_FLIGHT / (time.perf_counter() - start)


class BareServer:
    """A `grpc.aio` server in a process of its own whose two handlers do one keyed select and one insert."""

    def __init__(self, dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS bench_bare (id uuid PRIMARY KEY, note text NOT NULL)")
            connection.execute("INSERT INTO bench_bare VALUES (%s, 'x') ON CONFLICT DO NOTHING", [uuid.UUID(int=1)])
        context = multiprocessing.get_context("spawn")
        self._ports, self._stop = context.Queue(), context.Event()
        self._process = context.Process(target=_serve_bare, args=(dsn, self._ports, self._stop))

    def __enter__(self) -> "BareServer":
        self._process.start()
        self.target = f"127.0.0.1:{self._ports.get(timeout=30)}"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._process.join(30)


def _serve_bare(dsn: str, ports: "multiprocessing.Queue[int]", stop: Event) -> None:
    asyncio.run(_serve_bare_async(dsn, ports, stop))


async def _serve_bare_async(dsn: str, ports: "multiprocessing.Queue[int]", stop: Event) -> None:
    async with AsyncConnectionPool(dsn, min_size=8, max_size=8, kwargs={"autocommit": True}) as pool:

        async def select(request: bytes, _: object) -> bytes:
            async with pool.connection() as connection:
                key = StringValue.FromString(request).value
                cursor = await connection.execute("SELECT id, note FROM bench_bare WHERE id = %s", [key])
                await cursor.fetchone()
            return request

        async def insert(request: bytes, _: object) -> bytes:
            async with pool.connection() as connection:
                await connection.execute("INSERT INTO bench_bare VALUES (%s, 'x')", [uuid.uuid4()])
            return request

        server = grpc.aio.server()
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Select": grpc.unary_unary_rpc_method_handler(select),
            "Insert": grpc.unary_unary_rpc_method_handler(insert),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", handlers),))
        ports.put(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        while not stop.is_set():
            await asyncio.sleep(0.05)
        await server.stop(None)
