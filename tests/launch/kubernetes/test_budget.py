"""Places for pods that have not started."""

import asyncio

import pytest

from penstock_server.launch.kubernetes.budget import BudgetPlace, PodBudget


def taking(place: BudgetPlace, told: list[str]) -> "asyncio.Task[None]":
    return asyncio.create_task(place.take(lambda: told.append("full")))


async def test_places_are_given_up_to_the_limit_and_then_as_they_become_free() -> None:
    budget, told = PodBudget(2), list[str]()
    places = [BudgetPlace(budget) for _ in range(4)]
    tasks = [taking(place, told) for place in places]
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, True, False, False]
    assert told == ["full", "full"]
    places[1].give_back()
    places[1].give_back()
    await asyncio.wait([tasks[2]])
    assert not tasks[3].done()
    places[0].give_back()
    await asyncio.wait([tasks[3]])


async def test_pods_that_are_found_go_beyond_the_limit_and_are_counted() -> None:
    budget, told = PodBudget(1), list[str]()
    found = [BudgetPlace(budget) for _ in range(2)]
    for place in found:
        place.take_over()
        place.take_over()
    waiting = taking(BudgetPlace(budget), told)
    found[0].give_back()
    await asyncio.sleep(0)
    assert not waiting.done()
    found[1].give_back()
    await asyncio.wait([waiting])


async def test_who_gives_up_waiting_takes_no_place() -> None:
    budget, told = PodBudget(1), list[str]()
    first, second, third = (BudgetPlace(budget) for _ in range(3))
    await first.take(lambda: None)
    giving_up, patient = taking(second, told), taking(third, told)
    await asyncio.sleep(0)
    assert second.is_awaited
    second.give_up()
    with pytest.raises(asyncio.CancelledError):
        await giving_up
    first.give_back()
    await asyncio.wait([patient])
    assert budget.is_full
