"""What goes wrong, at which moment of a round, and for how long."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import psutil

from tests.chaos.world import LEASE_S, World
from tests.servers import Server

TROUBLE_S = 6.0
"""So long new faults begin in a round."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens to the world so many seconds into the round."""

    at_s: float
    what: str
    happen: Callable[[], None]


def moments(world: World, random: Random) -> list[Moment]:
    """The faults of a round and their ends, in order; afterwards everything is up again."""
    found: list[Moment] = []
    for number, server in enumerate(world.servers):
        found += random.choice([_kill, _freeze, _nothing])(f"server {number}", server, random)
    faults = [_cut, _restart, _crash, _kill_step, _kill_step]
    faults += [_fill] if world.store.is_small else []
    for fault in random.sample(faults, k=random.randint(1, 3)):
        found += fault(world, random)
    return sorted(found, key=lambda moment: moment.at_s)


def _kill(name: str, server: Server, random: Random) -> list[Moment]:
    at_s = random.uniform(0, TROUBLE_S)
    back_s = at_s + random.uniform(0, 2 * LEASE_S)
    return [Moment(at_s, f"kill {name}", server.kill), Moment(back_s, f"start {name}", lambda: _start(server))]


def _start(server: Server) -> None:
    server.start()


def _freeze(name: str, server: Server, random: Random) -> list[Moment]:
    """Past the lease."""
    at_s = random.uniform(0, TROUBLE_S)
    back_s = at_s + random.uniform(1.2, 2) * LEASE_S
    stop, go_on = lambda: _signal(server, signal.SIGSTOP), lambda: _signal(server, signal.SIGCONT)
    return [Moment(at_s, f"freeze {name}", stop), Moment(back_s, f"thaw {name}", go_on)]


def _signal(server: Server, number: int) -> None:
    assert server.process is not None
    os.kill(server.process.pid, number)


def _nothing(_: str, __: Server, ___: Random) -> list[Moment]:
    return []


def _cut(world: World, random: Random) -> list[Moment]:
    return [
        Moment(random.uniform(0, TROUBLE_S), "cut connections", world.postgres.cut_connections)
        for _ in range(random.randint(1, 5))
    ]


def _restart(world: World, random: Random) -> list[Moment]:
    stop = lambda: world.postgres.signal(signal.SIGINT)  # noqa: E731  # a moment wants a function
    return [Moment(random.uniform(0, TROUBLE_S), "restart Postgres", stop)]


def _crash(world: World, random: Random) -> list[Moment]:
    kill = lambda: world.postgres.signal(signal.SIGKILL)  # noqa: E731  # a moment wants a function
    return [Moment(random.uniform(0, TROUBLE_S), "kill Postgres", kill)]


def _fill(world: World, random: Random) -> list[Moment]:
    at_s = random.uniform(0, TROUBLE_S)
    back_s = at_s + random.uniform(0.3, 2)
    return [Moment(at_s, "fill the disk", world.store.fill), Moment(back_s, "empty the disk", world.store.empty)]


def _kill_step(world: World, random: Random) -> list[Moment]:
    def kill() -> None:
        steps = world.live_steps()
        if steps:
            try:
                random.choice(steps).kill()
            except psutil.NoSuchProcess:
                return  # it ended in the meantime, which is as good

    return [Moment(random.uniform(0, TROUBLE_S), "kill a step", kill) for _ in range(random.randint(1, 3))]
