"""Times as KFP writes them."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from penstock_server.compat.refusals import wrong

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY = 86_400


def record_time(time: datetime | None) -> Timestamp | None:
    """When something was made, in whole seconds, which is how KFP keeps it; None stays absent."""
    return None if time is None else Timestamp(seconds=whole_seconds(time))


def whole_seconds(time: datetime) -> int:
    """The seconds of `record_time`."""
    return int(time.timestamp())


def exact_time(time: datetime | None) -> Timestamp | None:
    """When something began or ended, with its fraction, so that short steps have a duration; None stays absent."""
    if time is None:
        return None
    message = Timestamp()
    set_time(message, time)
    return message


def set_time(message: Timestamp, time: datetime | None) -> None:
    """Fill an empty message with what `exact_time` tells; None leaves it as it is, which as a part is absent."""
    if time is not None:
        since = time - _EPOCH
        message.seconds = since.days * _SECONDS_A_DAY + since.seconds
        message.nanos = since.microseconds * 1000


def read_time(message: Timestamp, field: str) -> datetime:
    """The time that a request gives in `field`. Raises InvalidArgument."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong(field, "is no time between the years 1 and 9999") from None
