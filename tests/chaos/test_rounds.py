"""A round of faults on real servers, as `make chaos` plays many; and journals that tell of a fault of ours."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.chaos.journal import problems_of_journal, read_journal
from tests.chaos.rounds import play
from tests.chaos.world import World, opened


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("chaos")) as world:
        yield world


@pytest.mark.slow
def test_a_round_of_faults_breaks_nothing(world: World) -> None:
    told = play(world, Random().randrange(1_000_000, 2_000_000))
    assert told.problems == [], f"seed {told.seed}"
    assert told.steps >= told.runs
    assert told.slots > 0
    assert told.faults.total() > 0


@pytest.mark.parametrize(
    "lines",
    [
        ["start r a 0", "start r a 0"],
        ["start r a 0", "end r a 0", "end r a 0"],
        ["start r a 1", "start r a 0"],
        ["start r a 0", "start r a 1", "end r a 0"],
    ],
)
def test_a_journal_tells_of_attempts_that_ran_twice_or_beside_each_other(lines: list[str]) -> None:
    assert problems_of_journal(read_journal("\n".join(lines))) != []


def test_a_journal_of_attempts_one_after_the_other_is_right() -> None:
    lines = ["start r a 0", "start r b 0", "end r b 0", "start r a 1", "end r a 1"]
    assert problems_of_journal(read_journal("\n".join(lines))) == []


def test_an_attempt_that_nobody_could_follow_any_more_may_have_gone_on() -> None:
    lines = read_journal("start r a 0\nstart r a 1\nend r a 0\nend r a 1")
    assert problems_of_journal(lines, {("r", "a", 0)}) == []
