import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("id", "create_time", "owned_by", "context_window", "max_output_tokens", "input_price_micros", "cached_input_price_micros", "output_price_micros", "capabilities")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OWNED_BY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    id: str
    create_time: _timestamp_pb2.Timestamp
    owned_by: str
    context_window: int
    max_output_tokens: int
    input_price_micros: int
    cached_input_price_micros: int
    output_price_micros: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., owned_by: _Optional[str] = ..., context_window: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., input_price_micros: _Optional[int] = ..., cached_input_price_micros: _Optional[int] = ..., output_price_micros: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ...) -> None: ...
