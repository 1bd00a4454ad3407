"""Chat's own words to those of the contract."""

from rostra.chat.v1 import model_pb2
from rostra_chat.catalogue import Model


def model_to_proto(model: Model) -> model_pb2.Model:
    """Return the model as clients see it."""
    return model_pb2.Model(
        id=model.id,
        create_time=model.create_time,
        owned_by=model.provider,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        input_price_micros=model.input_price_micros,
        cached_input_price_micros=model.cached_input_price_micros,
        output_price_micros=model.output_price_micros,
        capabilities=sorted(model.capabilities),
    )
