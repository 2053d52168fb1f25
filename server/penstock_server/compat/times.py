"""Times as KFP writes them."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from penstock_server.compat.refusals import wrong

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY = 86_400


def record_time(time: datetime | None) -> Timestamp | None:
    """When something was made, in whole seconds, which is how KFP keeps it; None stays absent."""
    return None if time is None else Timestamp(seconds=int(time.timestamp()))


def exact_time(time: datetime | None) -> Timestamp | None:
    """When something began or ended, with its fraction, so that short steps have a duration; None stays absent."""
    if time is None:
        return None
    since = time - _EPOCH
    return Timestamp(seconds=since.days * _SECONDS_A_DAY + since.seconds, nanos=since.microseconds * 1000)


def read_time(message: Timestamp, field: str) -> datetime:
    """The time that a request gives in `field`. Raises InvalidArgument."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong(field, "is no time between the years 1 and 9999") from None
