"""How fast calls may go."""

from penstock_server.launch.kubernetes.throttle import Throttle


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def throttle(time: Time) -> Throttle:
    return Throttle(10, 3, clock=time, sleep=time.sleep)


async def moments(of: Throttle, time: Time, calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        await of.turn()
        found.append(round(time.now - 100, 6))
    return found


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    time = Time()
    assert await moments(throttle(time), time, 6) == [0, 0, 0, 0.1, 0.2, 0.3]


async def test_a_rest_saves_a_burst_and_no_more() -> None:
    time = Time()
    of = throttle(time)
    await moments(of, time, 3)
    time.now = 110.0
    assert await moments(of, time, 4) == [10, 10, 10, 10.1]


async def test_nothing_goes_while_the_server_asks_for_rest() -> None:
    time = Time()
    of = throttle(time)
    of.rest(5)
    assert await moments(of, time, 2) == [5, 5]
