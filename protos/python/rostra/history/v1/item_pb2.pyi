import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeedbackRating(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEEDBACK_RATING_UNSPECIFIED: _ClassVar[FeedbackRating]
    FEEDBACK_RATING_POSITIVE: _ClassVar[FeedbackRating]
    FEEDBACK_RATING_NEGATIVE: _ClassVar[FeedbackRating]
FEEDBACK_RATING_UNSPECIFIED: FeedbackRating
FEEDBACK_RATING_POSITIVE: FeedbackRating
FEEDBACK_RATING_NEGATIVE: FeedbackRating

class Item(_message.Message):
    __slots__ = ("id", "body", "create_time", "parent_id", "feedback")
    ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    id: str
    body: bytes
    create_time: _timestamp_pb2.Timestamp
    parent_id: str
    feedback: Feedback
    def __init__(self, id: _Optional[str] = ..., body: _Optional[bytes] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parent_id: _Optional[str] = ..., feedback: _Optional[_Union[Feedback, _Mapping]] = ...) -> None: ...

class Feedback(_message.Message):
    __slots__ = ("rating", "comment", "update_time")
    RATING_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    rating: FeedbackRating
    comment: str
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, rating: _Optional[_Union[FeedbackRating, str]] = ..., comment: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
