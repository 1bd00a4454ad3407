import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from rostra.common.v1 import page_pb2 as _page_pb2
from rostra.history.v1 import item_pb2 as _item_pb2
from rostra.history.v1 import share_pb2 as _share_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateShareRequest(_message.Message):
    __slots__ = ("conversation_id", "expire_time")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, conversation_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateShareResponse(_message.Message):
    __slots__ = ("share",)
    SHARE_FIELD_NUMBER: _ClassVar[int]
    share: _share_pb2.Share
    def __init__(self, share: _Optional[_Union[_share_pb2.Share, _Mapping]] = ...) -> None: ...

class GetShareRequest(_message.Message):
    __slots__ = ("share_id",)
    SHARE_ID_FIELD_NUMBER: _ClassVar[int]
    share_id: str
    def __init__(self, share_id: _Optional[str] = ...) -> None: ...

class GetShareResponse(_message.Message):
    __slots__ = ("share",)
    SHARE_FIELD_NUMBER: _ClassVar[int]
    share: _share_pb2.Share
    def __init__(self, share: _Optional[_Union[_share_pb2.Share, _Mapping]] = ...) -> None: ...

class ListSharesRequest(_message.Message):
    __slots__ = ("conversation_id", "page")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    page: _page_pb2.PageRequest
    def __init__(self, conversation_id: _Optional[str] = ..., page: _Optional[_Union[_page_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListSharesResponse(_message.Message):
    __slots__ = ("shares", "has_more")
    SHARES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    shares: _containers.RepeatedCompositeFieldContainer[_share_pb2.Share]
    has_more: bool
    def __init__(self, shares: _Optional[_Iterable[_Union[_share_pb2.Share, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class DeleteShareRequest(_message.Message):
    __slots__ = ("share_id",)
    SHARE_ID_FIELD_NUMBER: _ClassVar[int]
    share_id: str
    def __init__(self, share_id: _Optional[str] = ...) -> None: ...

class DeleteShareResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSharedItemsRequest(_message.Message):
    __slots__ = ("share_id", "page")
    SHARE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    share_id: str
    page: _page_pb2.PageRequest
    def __init__(self, share_id: _Optional[str] = ..., page: _Optional[_Union[_page_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListSharedItemsResponse(_message.Message):
    __slots__ = ("share", "items", "has_more")
    SHARE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    share: _share_pb2.Share
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    has_more: bool
    def __init__(self, share: _Optional[_Union[_share_pb2.Share, _Mapping]] = ..., items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...
