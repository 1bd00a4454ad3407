from rostra.common.v1 import caller_pb2 as _caller_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Plan(_message.Message):
    __slots__ = ("name", "limits")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    name: str
    limits: _caller_pb2.Limits
    def __init__(self, name: _Optional[str] = ..., limits: _Optional[_Union[_caller_pb2.Limits, _Mapping]] = ...) -> None: ...
