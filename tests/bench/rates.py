"""What calls cost: GetRun and CreateRun against a bare handler on the same Postgres; ListRuns as the table grows."""

import asyncio
import multiprocessing
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from multiprocessing.synchronize import Event
from typing import Any

import grpc
import psycopg
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from psycopg_pool import AsyncConnectionPool

from penstock.v1 import run_pb2, run_service_pb2, run_service_pb2_grpc
from tests import pipelines
from tests.bench.bed import NAMESPACE, PASS, Bed, Row

IN_FLIGHT = 32
CALLS = 3000
SMALL, LARGE = 1_000, 100_000
PAGES = 60

Call = Callable[[], Awaitable[object]]


def rates(bed: Bed) -> list[Row]:
    """Calls a second with 32 in flight: one keyed select, one insert."""
    target = bed.target
    run = bed.create(pipelines.chain(1, *PASS))
    bed.finish(run)
    with BareServer(bed.dsn) as bare:
        floor_get, floor_insert = asyncio.run(_bare(bare.target))
        get, create = asyncio.run(_ours(target, run.name))
    return [
        Row("GetRun, calls a second", get, "/s", floor_get, "at least 0.7"),
        Row("CreateRun, calls a second", create, "/s", floor_insert, "at least 0.7"),
    ]


def lists(bed: Bed) -> list[Row]:
    """A page of 50 of a thousand runs, and of a hundred thousand."""
    bed.finish(bed.create(pipelines.chain(1, *PASS)))
    bed.settle()
    _fill(bed.dsn, "small", SMALL)
    _fill(bed.dsn, "large", LARGE)
    small, large = (_page_ms(bed, f"namespaces/{name}") for name in ("small", "large"))
    filtered = [_page_ms(bed, f"namespaces/{name}", "state = SUCCEEDED") for name in ("small", "large")]
    return [
        Row("ListRuns page of 50 at 1,000 runs", small, "ms"),
        Row("ListRuns page of 50 at 100,000 runs", large, "ms", small, "flat: 1"),
        Row("the same, state = SUCCEEDED, 100,000", filtered[1], "ms", filtered[0], "flat: 1"),
    ]


async def _ours(target: str, name: str) -> tuple[float, float]:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = run_service_pb2_grpc.RunServiceStub(channel)
        get = run_service_pb2.GetRunRequest(name=name)
        struct = Struct()
        struct.update(pipelines.chain(1, "true"))
        run = run_pb2.Run()
        run.inline_spec.struct.CopyFrom(struct)
        create = run_service_pb2.CreateRunRequest(parent=NAMESPACE, run=run)
        return await _rate(lambda: stub.GetRun(get), CALLS), await _rate(lambda: stub.CreateRun(create), CALLS // 3)


async def _bare(target: str) -> tuple[float, float]:
    async with grpc.aio.insecure_channel(target) as channel:
        select: Any = channel.unary_unary("/bare/Select")
        insert: Any = channel.unary_unary("/bare/Insert")
        payload = StringValue(value=str(uuid.UUID(int=1))).SerializeToString()
        return await _rate(lambda: select(payload), CALLS), await _rate(lambda: insert(payload), CALLS)


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


def _fill(dsn: str, namespace: str, count: int) -> None:
    """Copies of one run of the default namespace, a second apart, in a namespace of their own."""
    with psycopg.connect(dsn) as connection:
        connection.execute(FILL_NAMESPACE, {"namespace": namespace})
        columns = [
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = 'run' AND is_generated = 'NEVER' ORDER BY ordinal_position"
            )
        ]
        changed = {
            "uid": "gen_random_uuid()",
            "id": "'r' || n",
            "namespace": "%(namespace)s",
            "experiment_uid": "(SELECT uid FROM experiment WHERE namespace = %(namespace)s)",
            "request_id": "NULL",
            "create_time": "now() - make_interval(secs => n)",
            "state": "'SUCCEEDED'",
            "end_time": "now()",
            "start_time": "now()",
        }
        values = ", ".join(changed.get(column, f"old.{column}") for column in columns)
        connection.execute(
            f"INSERT INTO run ({', '.join(columns)}) SELECT {values}"
            " FROM (SELECT * FROM run WHERE namespace = 'default' LIMIT 1) AS old, generate_series(1, %(count)s) AS n",
            {"namespace": namespace, "count": count},
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE run")


FILL_NAMESPACE = """
WITH made AS (INSERT INTO namespace (name) VALUES (%(namespace)s))
INSERT INTO experiment (namespace, id) VALUES (%(namespace)s, 'default')
"""


def _page_ms(bed: Bed, parent: str, filter: str = "") -> float:
    request = run_service_pb2.ListRunsRequest(parent=parent, page_size=50, filter=filter)
    times = []
    for _ in range(PAGES):
        start = time.perf_counter()
        page = bed.client.stubs.run.ListRuns(request)
        times.append(1000 * (time.perf_counter() - start))
        assert len(page.runs) == 50
        request.page_token = page.next_page_token if len(times) < 15 else ""
    return statistics.median(times)
