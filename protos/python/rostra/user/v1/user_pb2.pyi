import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from rostra.common.v1 import caller_pb2 as _caller_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class User(_message.Message):
    __slots__ = ("id", "email", "name", "role", "plan", "limits", "create_time", "disabled", "limit_override")
    ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    id: str
    email: str
    name: str
    role: _caller_pb2.Role
    plan: str
    limits: _caller_pb2.Limits
    create_time: _timestamp_pb2.Timestamp
    disabled: bool
    limit_override: LimitOverride
    def __init__(self, id: _Optional[str] = ..., email: _Optional[str] = ..., name: _Optional[str] = ..., role: _Optional[_Union[_caller_pb2.Role, str]] = ..., plan: _Optional[str] = ..., limits: _Optional[_Union[_caller_pb2.Limits, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., disabled: _Optional[bool] = ..., limit_override: _Optional[_Union[LimitOverride, _Mapping]] = ...) -> None: ...

class LimitOverride(_message.Message):
    __slots__ = ("limits", "end_time")
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    limits: _caller_pb2.Limits
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, limits: _Optional[_Union[_caller_pb2.Limits, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
