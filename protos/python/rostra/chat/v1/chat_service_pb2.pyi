from rostra.chat.v1 import model_pb2 as _model_pb2
from rostra.common.v1 import limit_state_pb2 as _limit_state_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class CreateChatCompletionRequest(_message.Message):
    __slots__ = ("model", "body", "store")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    model: str
    body: bytes
    store: bool
    def __init__(self, model: _Optional[str] = ..., body: _Optional[bytes] = ..., store: _Optional[bool] = ...) -> None: ...

class CreateChatCompletionResponse(_message.Message):
    __slots__ = ("body", "limits")
    BODY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    limits: _containers.RepeatedCompositeFieldContainer[_limit_state_pb2.LimitState]
    def __init__(self, body: _Optional[bytes] = ..., limits: _Optional[_Iterable[_Union[_limit_state_pb2.LimitState, _Mapping]]] = ...) -> None: ...

class StreamChatCompletionRequest(_message.Message):
    __slots__ = ("model", "body", "store")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    model: str
    body: bytes
    store: bool
    def __init__(self, model: _Optional[str] = ..., body: _Optional[bytes] = ..., store: _Optional[bool] = ...) -> None: ...

class StreamChatCompletionResponse(_message.Message):
    __slots__ = ("frames", "limits")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    frames: bytes
    limits: _containers.RepeatedCompositeFieldContainer[_limit_state_pb2.LimitState]
    def __init__(self, frames: _Optional[bytes] = ..., limits: _Optional[_Iterable[_Union[_limit_state_pb2.LimitState, _Mapping]]] = ...) -> None: ...

class ResponseState(_message.Message):
    __slots__ = ("previous_response_id", "conversation_id", "store", "background")
    PREVIOUS_RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_FIELD_NUMBER: _ClassVar[int]
    previous_response_id: str
    conversation_id: str
    store: bool
    background: bool
    def __init__(self, previous_response_id: _Optional[str] = ..., conversation_id: _Optional[str] = ..., store: _Optional[bool] = ..., background: _Optional[bool] = ...) -> None: ...

class CreateResponseRequest(_message.Message):
    __slots__ = ("model", "body", "state")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    model: str
    body: bytes
    state: ResponseState
    def __init__(self, model: _Optional[str] = ..., body: _Optional[bytes] = ..., state: _Optional[_Union[ResponseState, _Mapping]] = ...) -> None: ...

class CreateResponseResponse(_message.Message):
    __slots__ = ("body", "limits")
    BODY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    limits: _containers.RepeatedCompositeFieldContainer[_limit_state_pb2.LimitState]
    def __init__(self, body: _Optional[bytes] = ..., limits: _Optional[_Iterable[_Union[_limit_state_pb2.LimitState, _Mapping]]] = ...) -> None: ...

class StreamResponseRequest(_message.Message):
    __slots__ = ("model", "body", "state")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    model: str
    body: bytes
    state: ResponseState
    def __init__(self, model: _Optional[str] = ..., body: _Optional[bytes] = ..., state: _Optional[_Union[ResponseState, _Mapping]] = ...) -> None: ...

class StreamResponseResponse(_message.Message):
    __slots__ = ("frames", "limits")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    frames: bytes
    limits: _containers.RepeatedCompositeFieldContainer[_limit_state_pb2.LimitState]
    def __init__(self, frames: _Optional[bytes] = ..., limits: _Optional[_Iterable[_Union[_limit_state_pb2.LimitState, _Mapping]]] = ...) -> None: ...

class FollowResponseRequest(_message.Message):
    __slots__ = ("response_id", "starting_after")
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    STARTING_AFTER_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    starting_after: int
    def __init__(self, response_id: _Optional[str] = ..., starting_after: _Optional[int] = ...) -> None: ...

class FollowResponseResponse(_message.Message):
    __slots__ = ("frames",)
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    frames: bytes
    def __init__(self, frames: _Optional[bytes] = ...) -> None: ...

class CancelResponseRequest(_message.Message):
    __slots__ = ("response_id",)
    RESPONSE_ID_FIELD_NUMBER: _ClassVar[int]
    response_id: str
    def __init__(self, response_id: _Optional[str] = ...) -> None: ...

class CancelResponseResponse(_message.Message):
    __slots__ = ("body",)
    BODY_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    def __init__(self, body: _Optional[bytes] = ...) -> None: ...

class CountInputTokensRequest(_message.Message):
    __slots__ = ("body", "state")
    BODY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    state: ResponseState
    def __init__(self, body: _Optional[bytes] = ..., state: _Optional[_Union[ResponseState, _Mapping]] = ...) -> None: ...

class CountInputTokensResponse(_message.Message):
    __slots__ = ("input_tokens",)
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    def __init__(self, input_tokens: _Optional[int] = ...) -> None: ...

class CompactResponseRequest(_message.Message):
    __slots__ = ("model", "body", "state")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    model: str
    body: bytes
    state: ResponseState
    def __init__(self, model: _Optional[str] = ..., body: _Optional[bytes] = ..., state: _Optional[_Union[ResponseState, _Mapping]] = ...) -> None: ...

class CompactResponseResponse(_message.Message):
    __slots__ = ("body", "limits")
    BODY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    limits: _containers.RepeatedCompositeFieldContainer[_limit_state_pb2.LimitState]
    def __init__(self, body: _Optional[bytes] = ..., limits: _Optional[_Iterable[_Union[_limit_state_pb2.LimitState, _Mapping]]] = ...) -> None: ...

class GenerateTitleRequest(_message.Message):
    __slots__ = ("conversation_id", "model")
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    conversation_id: str
    model: str
    def __init__(self, conversation_id: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class GenerateTitleResponse(_message.Message):
    __slots__ = ("title", "limits")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    title: str
    limits: _containers.RepeatedCompositeFieldContainer[_limit_state_pb2.LimitState]
    def __init__(self, title: _Optional[str] = ..., limits: _Optional[_Iterable[_Union[_limit_state_pb2.LimitState, _Mapping]]] = ...) -> None: ...
