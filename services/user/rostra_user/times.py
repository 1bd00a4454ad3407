"""Between protobuf's moments and Python's."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def to_datetime(timestamp: Timestamp) -> datetime:
    """Return the moment in UTC, or raise `ValueError` for one that no calendar has."""
    try:
        return timestamp.ToDatetime(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def to_timestamp(moment: datetime) -> Timestamp:
    """Return the moment as protobuf's."""
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
