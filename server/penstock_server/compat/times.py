"""Times as KFP writes them."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def record_time(time: datetime | None) -> Timestamp | None:
    """When something was made, in whole seconds, which is how KFP keeps it; None stays absent."""
    return None if time is None else Timestamp(seconds=int(time.timestamp()))


def exact_time(time: datetime | None) -> Timestamp | None:
    """When something began or ended, with its fraction, so that short steps have a duration; None stays absent."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message
