"""Which traces are recorded: what the standard `OTEL_TRACES_SAMPLER` says, else one in ten."""

import os
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

DEFAULT_RATIO = 0.1


def default_sampler() -> Sampler | None:
    """Return the sampler of those who name none; `None`, which lets the SDK read the variables, for the others."""
    if os.environ.get("OTEL_TRACES_SAMPLER"):
        return None
    ratio = float(os.environ.get("OTEL_TRACES_SAMPLER_ARG") or DEFAULT_RATIO)
    return ParentBased(TraceIdRatioBased(ratio))


class LinkSampler(Sampler):
    """Records a trace that points at others if one of those is recorded: half of a story helps nobody.

    Args:
        others: Decides on all other spans.
    """

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,  # noqa: ARG002 - the SDK's contract
    ) -> SamplingResult:
        """Decide on one span."""
        if links and not get_current_span(parent_context).get_span_context().is_valid:
            is_recorded = any(link.context.trace_flags.sampled for link in links)
            return SamplingResult(Decision.RECORD_AND_SAMPLE if is_recorded else Decision.DROP, attributes)
        return self._others.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        """Name the sampler."""
        return f"LinkSampler{{{self._others.get_description()}}}"
