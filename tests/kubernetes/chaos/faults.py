"""What goes wrong on a cluster, at which moment of a round; afterwards everything is up again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from penstock_server.launch.kubernetes import names
from penstock_server.model.ids import AttemptId
from tests.kubernetes.chaos.world import World
from tests.kubernetes.kubectl import kubectl, read
from tests.kubernetes.node import Victim
from tests.kubernetes.pods import LOOK_S, state_of
from tests.servers import Server

TROUBLE_S = 20.0
"""So long new faults begin in a round."""
DOWN_S_MAX = 6.0
"""A server is down for less than its lease, or for longer."""
HELD_S = (0.5, 5.0)
KILLS, DELETIONS, CUTS = (5, 10), (0, 2), (0, 3)
"""So many in a round."""
HIT_MAX = 3
"""Later attempts are spared: three that are lost are made good, and no more."""
PATIENCE_S = 2.0
"""A victim is waited for no longer."""

Pod = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens to the world so many seconds into the round."""

    at_s: float
    what: str
    happen: Callable[[], object]
    """False where there was nothing to happen to."""


@dataclass(slots=True)
class Faults:
    """Draws the faults of a round, and notes what no journal tells."""

    world: World
    random: Random
    killed: set[AttemptId] = field(default_factory=set)
    """Attempts whose program was killed."""
    cut_loose: set[AttemptId] = field(default_factory=set)
    """Attempts whose pods were removed from the cluster by force, and may go on for a while on their node."""

    def moments(self) -> list[Moment]:
        """The faults, in order."""
        found = [moment for server in self.world.servers for moment in self._of_server(server)]
        found += [self._at(f"kill {victim}", partial(self._kill, victim)) for victim in self._victims()]
        found += self._some(DELETIONS, "delete a pod", partial(self._delete, "--grace-period=1"))
        found += self._some(DELETIONS, "remove a pod by force", partial(self._delete, "--grace-period=0", "--force"))
        found += self._some(CUTS, "cut the API server", self.world.api.cut)
        held_s = self.random.uniform(*HELD_S)
        found += self._some((0, 1), "hold the API server", partial(self.world.api.hold, held_s))
        return sorted(found, key=lambda moment: moment.at_s)

    def _of_server(self, server: Server) -> list[Moment]:
        if self.random.random() < 0.3:
            return []
        kill = self._at("kill a server", server.kill)
        return [kill, Moment(kill.at_s + self.random.uniform(0, DOWN_S_MAX), "start a server", server.start)]

    def _victims(self) -> list[Victim]:
        return self.random.choices(list(Victim), k=self.random.randint(*KILLS))

    def _some(self, bounds: tuple[int, int], what: str, happen: Callable[[], object]) -> list[Moment]:
        return [self._at(what, happen) for _ in range(self.random.randint(*bounds))]

    def _at(self, what: str, happen: Callable[[], object]) -> Moment:
        return Moment(self.random.uniform(0, TROUBLE_S), what, happen)

    # To pods

    def _kill(self, victim: Victim) -> bool:
        end = time.monotonic() + PATIENCE_S
        while (pod := self._any(partial(has, victim=victim))) is None:
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_S)
        wait_s = PATIENCE_S if victim is Victim.STAGE_IN else 0
        if self.world.node.kill(victim, pod["metadata"]["uid"], wait_s) is None:
            return False
        if victim is Victim.MAIN:
            self.killed.add(attempt_of(pod))
        return True

    def _delete(self, *how: str) -> bool:
        pod = self._any(lambda pod: True)
        if pod is None:
            return False
        if "--force" in how:
            self.cut_loose.add(attempt_of(pod))
        options = ("--namespace", self.world.cluster.namespace, "--wait=false", "--ignore-not-found", *how)
        kubectl("delete", "pod", pod["metadata"]["name"], *options)
        return True

    def _any(self, test: Callable[[Pod], bool]) -> Pod | None:
        found = [pod for pod in self._pods() if test(pod)]
        return self.random.choice(found) if found else None

    def _pods(self) -> list[Pod]:
        """Those of attempts that may be hit, in an order that does not depend on how the cluster lists them."""
        listed = read("pods", "--namespace", self.world.cluster.namespace, "--selector", names.INSTALLATION_LABEL)
        pods = [pod for pod in listed["items"] if attempt_of(pod).number <= HIT_MAX]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def has(pod: Pod, victim: Victim) -> bool:
    """Whether there may be something of that kind to kill."""
    if victim is Victim.STAGE_IN:
        return not state_of(pod, victim).keys() & {"terminated"}
    if victim in (Victim.MAIN, Victim.STAGE_OUT):
        return "running" in state_of(pod, victim)
    return any("running" in state_of(pod, container) for container in (names.STAGE_OUT, names.MAIN))


def attempt_of(pod: Pod) -> AttemptId:
    """The attempt that the pod is of."""
    attempt = names.attempt_in(pod["metadata"]["annotations"])
    assert attempt is not None
    return attempt
