import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from rostra.common.v1 import page_pb2 as _page_pb2
from rostra.history.v1 import conversation_pb2 as _conversation_pb2
from rostra.history.v1 import item_pb2 as _item_pb2
from rostra.history.v1 import response_pb2 as _response_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConversationTime(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONVERSATION_TIME_UNSPECIFIED: _ClassVar[ConversationTime]
    CONVERSATION_TIME_CREATED: _ClassVar[ConversationTime]
    CONVERSATION_TIME_UPDATED: _ClassVar[ConversationTime]

class ItemView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ITEM_VIEW_UNSPECIFIED: _ClassVar[ItemView]
    ITEM_VIEW_ACTIVE_BRANCH: _ClassVar[ItemView]
    ITEM_VIEW_ALL_BRANCHES: _ClassVar[ItemView]
CONVERSATION_TIME_UNSPECIFIED: ConversationTime
CONVERSATION_TIME_CREATED: ConversationTime
CONVERSATION_TIME_UPDATED: ConversationTime
ITEM_VIEW_UNSPECIFIED: ItemView
ITEM_VIEW_ACTIVE_BRANCH: ItemView
ITEM_VIEW_ALL_BRANCHES: ItemView

class CreateConversationRequest(_message.Message):
    __slots__ = ("metadata", "items")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    metadata: _containers.ScalarMap[str, str]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    def __init__(self, metadata: _Optional[_Mapping[str, str]] = ..., items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ...) -> None: ...

class CreateConversationResponse(_message.Message):
    __slots__ = ("conversation",)
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    conversation: _conversation_pb2.Conversation
    def __init__(self, conversation: _Optional[_Union[_conversation_pb2.Conversation, _Mapping]] = ...) -> None: ...

class GetConversationRequest(_message.Message):
    __slots__ = ("conversation_id",)
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    def __init__(self, conversation_id: _Optional[str] = ...) -> None: ...

class GetConversationResponse(_message.Message):
    __slots__ = ("conversation",)
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    conversation: _conversation_pb2.Conversation
    def __init__(self, conversation: _Optional[_Union[_conversation_pb2.Conversation, _Mapping]] = ...) -> None: ...

class ListConversationsRequest(_message.Message):
    __slots__ = ("page", "archived", "order_by", "min_create_time", "max_create_time")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    MIN_CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    page: _page_pb2.PageRequest
    archived: bool
    order_by: ConversationTime
    min_create_time: _timestamp_pb2.Timestamp
    max_create_time: _timestamp_pb2.Timestamp
    def __init__(self, page: _Optional[_Union[_page_pb2.PageRequest, _Mapping]] = ..., archived: _Optional[bool] = ..., order_by: _Optional[_Union[ConversationTime, str]] = ..., min_create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max_create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListConversationsResponse(_message.Message):
    __slots__ = ("conversations", "has_more")
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    conversations: _containers.RepeatedCompositeFieldContainer[_conversation_pb2.Conversation]
    has_more: bool
    def __init__(self, conversations: _Optional[_Iterable[_Union[_conversation_pb2.Conversation, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class UpdateConversationRequest(_message.Message):
    __slots__ = ("conversation_id", "title", "metadata", "archived", "active_item_id")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    title: str
    metadata: _conversation_pb2.Metadata
    archived: bool
    active_item_id: str
    def __init__(self, conversation_id: _Optional[str] = ..., title: _Optional[str] = ..., metadata: _Optional[_Union[_conversation_pb2.Metadata, _Mapping]] = ..., archived: _Optional[bool] = ..., active_item_id: _Optional[str] = ...) -> None: ...

class UpdateConversationResponse(_message.Message):
    __slots__ = ("conversation",)
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    conversation: _conversation_pb2.Conversation
    def __init__(self, conversation: _Optional[_Union[_conversation_pb2.Conversation, _Mapping]] = ...) -> None: ...

class DeleteConversationRequest(_message.Message):
    __slots__ = ("conversation_id",)
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    def __init__(self, conversation_id: _Optional[str] = ...) -> None: ...

class DeleteConversationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SearchConversationsRequest(_message.Message):
    __slots__ = ("query", "page")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    query: str
    page: _page_pb2.PageRequest
    def __init__(self, query: _Optional[str] = ..., page: _Optional[_Union[_page_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class SearchConversationsResponse(_message.Message):
    __slots__ = ("matches", "has_more")
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    matches: _containers.RepeatedCompositeFieldContainer[_conversation_pb2.Match]
    has_more: bool
    def __init__(self, matches: _Optional[_Iterable[_Union[_conversation_pb2.Match, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class ImportConversationRequest(_message.Message):
    __slots__ = ("title", "metadata", "archived", "create_time", "update_time", "items", "active_key")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TITLE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_KEY_FIELD_NUMBER: _ClassVar[int]
    title: str
    metadata: _containers.ScalarMap[str, str]
    archived: bool
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    items: _containers.RepeatedCompositeFieldContainer[ImportedItem]
    active_key: str
    def __init__(self, title: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., archived: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., items: _Optional[_Iterable[_Union[ImportedItem, _Mapping]]] = ..., active_key: _Optional[str] = ...) -> None: ...

class ImportedItem(_message.Message):
    __slots__ = ("key", "parent_key", "body", "create_time", "feedback")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PARENT_KEY_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    key: str
    parent_key: str
    body: bytes
    create_time: _timestamp_pb2.Timestamp
    feedback: _item_pb2.Feedback
    def __init__(self, key: _Optional[str] = ..., parent_key: _Optional[str] = ..., body: _Optional[bytes] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., feedback: _Optional[_Union[_item_pb2.Feedback, _Mapping]] = ...) -> None: ...

class ImportConversationResponse(_message.Message):
    __slots__ = ("conversation",)
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    conversation: _conversation_pb2.Conversation
    def __init__(self, conversation: _Optional[_Union[_conversation_pb2.Conversation, _Mapping]] = ...) -> None: ...

class ListForksRequest(_message.Message):
    __slots__ = ("conversation_id",)
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    def __init__(self, conversation_id: _Optional[str] = ...) -> None: ...

class ListForksResponse(_message.Message):
    __slots__ = ("forks",)
    FORKS_FIELD_NUMBER: _ClassVar[int]
    forks: _containers.RepeatedCompositeFieldContainer[_conversation_pb2.Fork]
    def __init__(self, forks: _Optional[_Iterable[_Union[_conversation_pb2.Fork, _Mapping]]] = ...) -> None: ...

class CreateItemsRequest(_message.Message):
    __slots__ = ("conversation_id", "items")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    def __init__(self, conversation_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ...) -> None: ...

class CreateItemsResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ...) -> None: ...

class ListItemsRequest(_message.Message):
    __slots__ = ("conversation_id", "page", "view")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    page: _page_pb2.PageRequest
    view: ItemView
    def __init__(self, conversation_id: _Optional[str] = ..., page: _Optional[_Union[_page_pb2.PageRequest, _Mapping]] = ..., view: _Optional[_Union[ItemView, str]] = ...) -> None: ...

class ListItemsResponse(_message.Message):
    __slots__ = ("items", "has_more")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    has_more: bool
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class GetItemRequest(_message.Message):
    __slots__ = ("conversation_id", "item_id")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    item_id: str
    def __init__(self, conversation_id: _Optional[str] = ..., item_id: _Optional[str] = ...) -> None: ...

class GetItemResponse(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: _item_pb2.Item
    def __init__(self, item: _Optional[_Union[_item_pb2.Item, _Mapping]] = ...) -> None: ...

class DeleteItemRequest(_message.Message):
    __slots__ = ("conversation_id", "item_id")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    item_id: str
    def __init__(self, conversation_id: _Optional[str] = ..., item_id: _Optional[str] = ...) -> None: ...

class DeleteItemResponse(_message.Message):
    __slots__ = ("conversation",)
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    conversation: _conversation_pb2.Conversation
    def __init__(self, conversation: _Optional[_Union[_conversation_pb2.Conversation, _Mapping]] = ...) -> None: ...

class UpdateFeedbackRequest(_message.Message):
    __slots__ = ("conversation_id", "item_id", "feedback")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    item_id: str
    feedback: _item_pb2.Feedback
    def __init__(self, conversation_id: _Optional[str] = ..., item_id: _Optional[str] = ..., feedback: _Optional[_Union[_item_pb2.Feedback, _Mapping]] = ...) -> None: ...

class UpdateFeedbackResponse(_message.Message):
    __slots__ = ("feedback",)
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    feedback: _item_pb2.Feedback
    def __init__(self, feedback: _Optional[_Union[_item_pb2.Feedback, _Mapping]] = ...) -> None: ...

class GetFeedbackRequest(_message.Message):
    __slots__ = ("conversation_id", "item_id")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    item_id: str
    def __init__(self, conversation_id: _Optional[str] = ..., item_id: _Optional[str] = ...) -> None: ...

class GetFeedbackResponse(_message.Message):
    __slots__ = ("feedback",)
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    feedback: _item_pb2.Feedback
    def __init__(self, feedback: _Optional[_Union[_item_pb2.Feedback, _Mapping]] = ...) -> None: ...

class DeleteFeedbackRequest(_message.Message):
    __slots__ = ("conversation_id", "item_id")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    item_id: str
    def __init__(self, conversation_id: _Optional[str] = ..., item_id: _Optional[str] = ...) -> None: ...

class DeleteFeedbackResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoadContextRequest(_message.Message):
    __slots__ = ("previous_response_id", "conversation_id", "item_ids", "response_id")
    PREVIOUS_RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    previous_response_id: str
    conversation_id: str
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    response_id: str
    def __init__(self, previous_response_id: _Optional[str] = ..., conversation_id: _Optional[str] = ..., item_ids: _Optional[_Iterable[str]] = ..., response_id: _Optional[str] = ...) -> None: ...

class LoadContextResponse(_message.Message):
    __slots__ = ("items", "referenced_items", "branch_point")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    REFERENCED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    BRANCH_POINT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    referenced_items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    branch_point: _conversation_pb2.BranchPoint
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., referenced_items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., branch_point: _Optional[_Union[_conversation_pb2.BranchPoint, _Mapping]] = ...) -> None: ...

class CreateResponseRequest(_message.Message):
    __slots__ = ("response", "input", "job", "branch_point", "lease_duration")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    BRANCH_POINT_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    response: _response_pb2.Response
    input: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    job: _response_pb2.Job
    branch_point: _conversation_pb2.BranchPoint
    lease_duration: _duration_pb2.Duration
    def __init__(self, response: _Optional[_Union[_response_pb2.Response, _Mapping]] = ..., input: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., job: _Optional[_Union[_response_pb2.Job, _Mapping]] = ..., branch_point: _Optional[_Union[_conversation_pb2.BranchPoint, _Mapping]] = ..., lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateResponseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FinishResponseRequest(_message.Message):
    __slots__ = ("response", "output", "lease")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    response: _response_pb2.Response
    output: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    lease: _response_pb2.Lease
    def __init__(self, response: _Optional[_Union[_response_pb2.Response, _Mapping]] = ..., output: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., lease: _Optional[_Union[_response_pb2.Lease, _Mapping]] = ...) -> None: ...

class FinishResponseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClaimResponseRequest(_message.Message):
    __slots__ = ("lease_duration",)
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    lease_duration: _duration_pb2.Duration
    def __init__(self, lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClaimResponseResponse(_message.Message):
    __slots__ = ("lease", "response", "job")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    lease: _response_pb2.Lease
    response: _response_pb2.Response
    job: _response_pb2.Job
    def __init__(self, lease: _Optional[_Union[_response_pb2.Lease, _Mapping]] = ..., response: _Optional[_Union[_response_pb2.Response, _Mapping]] = ..., job: _Optional[_Union[_response_pb2.Job, _Mapping]] = ...) -> None: ...

class RenewLeasesRequest(_message.Message):
    __slots__ = ("leases", "lease_duration")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[_response_pb2.Lease]
    lease_duration: _duration_pb2.Duration
    def __init__(self, leases: _Optional[_Iterable[_Union[_response_pb2.Lease, _Mapping]]] = ..., lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RenewLeasesResponse(_message.Message):
    __slots__ = ("lost_response_ids", "cancelled_response_ids")
    LOST_RESPONSE_IDS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_RESPONSE_IDS_FIELD_NUMBER: _ClassVar[int]
    lost_response_ids: _containers.RepeatedScalarFieldContainer[str]
    cancelled_response_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lost_response_ids: _Optional[_Iterable[str]] = ..., cancelled_response_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ReleaseResponseRequest(_message.Message):
    __slots__ = ("lease",)
    LEASE_FIELD_NUMBER: _ClassVar[int]
    lease: _response_pb2.Lease
    def __init__(self, lease: _Optional[_Union[_response_pb2.Lease, _Mapping]] = ...) -> None: ...

class ReleaseResponseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CancelResponseRequest(_message.Message):
    __slots__ = ("response_id",)
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    def __init__(self, response_id: _Optional[str] = ...) -> None: ...

class CancelResponseResponse(_message.Message):
    __slots__ = ("response",)
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    response: _response_pb2.Response
    def __init__(self, response: _Optional[_Union[_response_pb2.Response, _Mapping]] = ...) -> None: ...

class GetResponseRequest(_message.Message):
    __slots__ = ("response_id",)
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    def __init__(self, response_id: _Optional[str] = ...) -> None: ...

class GetResponseResponse(_message.Message):
    __slots__ = ("response", "output")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    response: _response_pb2.Response
    output: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    def __init__(self, response: _Optional[_Union[_response_pb2.Response, _Mapping]] = ..., output: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ...) -> None: ...

class ListResponsesRequest(_message.Message):
    __slots__ = ("page",)
    PAGE_FIELD_NUMBER: _ClassVar[int]
    page: _page_pb2.PageRequest
    def __init__(self, page: _Optional[_Union[_page_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListResponsesResponse(_message.Message):
    __slots__ = ("responses", "has_more")
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    responses: _containers.RepeatedCompositeFieldContainer[_response_pb2.Response]
    has_more: bool
    def __init__(self, responses: _Optional[_Iterable[_Union[_response_pb2.Response, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class DeleteResponseRequest(_message.Message):
    __slots__ = ("response_id",)
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    def __init__(self, response_id: _Optional[str] = ...) -> None: ...

class DeleteResponseResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListInputItemsRequest(_message.Message):
    __slots__ = ("response_id", "page")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    page: _page_pb2.PageRequest
    def __init__(self, response_id: _Optional[str] = ..., page: _Optional[_Union[_page_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListInputItemsResponse(_message.Message):
    __slots__ = ("items", "has_more")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_item_pb2.Item]
    has_more: bool
    def __init__(self, items: _Optional[_Iterable[_Union[_item_pb2.Item, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class DeleteUserDataRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteUserDataResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
