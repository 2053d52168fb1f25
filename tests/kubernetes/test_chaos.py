"""Rounds of faults on a cluster, as `make chaos-kubernetes` plays many."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.kubernetes.chaos.rounds import play
from tests.kubernetes.chaos.world import World, opened

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def world() -> Iterator[World]:
    with opened() as world:
        yield world


def test_rounds_of_faults_break_nothing(world: World) -> None:
    for _ in range(2):
        told = play(world, Random().randrange(1_000_000, 2_000_000))
        assert told.problems == [], f"seed {told.seed}"
        assert told.steps > told.runs
        assert told.faults.total() > 0
