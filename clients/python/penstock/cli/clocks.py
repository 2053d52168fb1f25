"""Whose clock the times of a job are read and shown on: that of its time zone, else the user's own."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from penstock.cli.failures import UsageError

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from penstock.v1.job_pb2 import Job

_LAST = timedelta(days=1) - timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads and writes times."""

    zone: tzinfo | None = None
    """None: the user's."""
    name: str = ""
    """As in `Europe/Berlin`; empty for the user's."""

    def heading(self, word: str) -> str:
        """The head of a column of times, which says where they are not the user's."""
        return f"{word} ({self.name})" if self.name else word

    def text(self, time: "Timestamp | datetime") -> str:
        """A time to the second; empty for one that is not set."""
        if not isinstance(time, datetime):
            if not (time.seconds or time.nanos):
                return ""
            time = time.ToDatetime(tzinfo=UTC)
        return f"{time.astimezone(self.zone):%Y-%m-%d %H:%M:%S}"

    def read(self, option: str, text: str) -> datetime | None:
        """A time, or the first moment of a date; None of nothing. Raises UsageError, naming `option`."""
        return self._aware(_parsed(option, text), option) if text else None

    def read_end(self, option: str, text: str, now: datetime | None = None) -> datetime | None:
        """The same, but of a date its last moment; with `now` no later than that where the date is today."""
        first = self.read(option, text)
        if first is None or not _is_date(text):
            return first
        last = self._aware(_parsed(option, text) + _LAST, option)
        return min(last, now) if now is not None and first <= now else last

    def _aware(self, time: datetime, option: str) -> datetime:
        """A time without an offset is one of this clock."""
        if time.tzinfo is None and self.zone is not None:
            time = time.replace(tzinfo=self.zone)
        try:
            return time.astimezone(UTC)
        except (OverflowError, ValueError):
            raise UsageError(f"{option} {time}: this time is too far away") from None


UTC_CLOCK = Clock(UTC, "UTC")


def clock_of(job: "Job") -> Clock:
    """The clock by which the job fires."""
    return named_clock(job.cron.time_zone if job.HasField("cron") else "")


def named_clock(name: str) -> Clock:
    """The clock of a time zone; the user's where none is named, or where this machine does not know it."""
    try:
        return Clock(ZoneInfo(name), name) if name else Clock()
    except (KeyError, OSError, ValueError):
        return Clock()


def _parsed(option: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        example = "2026-01-31, 2026-01-31T09:30 or 2026-01-31T09:30Z"
        raise UsageError(f"{option} {text}: expected a date or a time such as {example}") from None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
