"""One server from its start to its end, with signals and the ready line."""

import asyncio
import gc
import os
import signal
from contextlib import AsyncExitStack

import structlog

from penstock_server.main.addresses import bind, check_free, parse_address
from penstock_server.main.assembly import Assembly
from penstock_server.main.settings import Settings

SIGNALS = (signal.SIGTERM, signal.SIGINT)

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises PenstockError for what stands in the way of a start."""
    told_to_end = _watch_signals()
    async with AsyncExitStack() as stack:
        # Addresses first: nothing is started for a server that could not be reached.
        listener = stack.enter_context(bind(parse_address(settings.http_listen), "--http-listen"))
        check_free(parse_address(settings.grpc_listen), "--grpc-listen")
        starting = asyncio.create_task(Assembly(settings, stack).start(listener), name="start")
        waiting = asyncio.create_task(told_to_end.wait(), name="signals")
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            log.info("told to end before it was ready")
            starting.cancel()
            await asyncio.wait([starting])
            return
        server = starting.result()
        gc.freeze()  # what the start has made stays; the collector need not look at it again
        print(f"penstock-server ready: grpc {server.grpc_address} http {server.http_address}", flush=True)
        await waiting
        log.info("draining")
        await server.drain()
    log.info("ended")


def _watch_signals() -> asyncio.Event:
    """Set by the first signal; a second one ends the process at once, which loses nothing."""
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(number: int) -> None:
        if told_to_end.is_set():
            os._exit(128 + number)
        told_to_end.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, told, number)
    return told_to_end
