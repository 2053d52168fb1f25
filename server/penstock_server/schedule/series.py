"""Endless series of instants, walked from any place in either direction.

Instants are aware, in UTC, and within the calendar by more than a year on either side.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from penstock_server.schedule.cron import WallTimes
from penstock_server.schedule.zones import frontier, instant_of


class Series(Protocol):
    """Instants in order, without a beginning or an end of their own."""

    def after(self, instant: datetime) -> datetime | None:
        """The first one after `instant`; None where the calendar ends."""

    def until(self, instant: datetime) -> datetime | None:
        """The last one not after `instant`; None where the calendar begins."""


@dataclass(frozen=True, slots=True)
class Periods:
    """The same time from one to the next."""

    anchor: datetime
    every: timedelta

    def after(self, instant: datetime) -> datetime | None:
        """See `Series`."""
        return self._at((instant - self.anchor) // self.every + 1)

    def until(self, instant: datetime) -> datetime | None:
        """See `Series`."""
        return self._at((instant - self.anchor) // self.every)

    def _at(self, number: int) -> datetime | None:
        try:
            return self.anchor + number * self.every
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class WallClock:
    """Wall times of a zone, each once: see `zones` for what happens when clocks are changed."""

    times: WallTimes
    zone: ZoneInfo

    def after(self, instant: datetime) -> datetime | None:
        """See `Series`. Wall times that are left out together are one instant, and come once."""
        return self._instant(self.times.after(frontier(instant, self.zone)))

    def until(self, instant: datetime) -> datetime | None:
        """See `Series`."""
        return self._instant(self.times.until(frontier(instant, self.zone)))

    def _instant(self, wall: datetime | None) -> datetime | None:
        return None if wall is None else instant_of(wall, self.zone)
