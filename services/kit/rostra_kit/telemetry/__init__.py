"""What a process tells of itself: metrics, traces, and the facts that its log lines carry.

`process` serves the metrics that every process has, `tracing` exports spans, `trace_context` hands a trace from hop to
hop, `spans` begins the leaves of a trace; `facts` brings what is known at the end of a call back to where it began.
`redis`, `sql` and `mongodb` watch those libraries, in a few lines each: their public instrumentations record what
people write, or swallow cancellation. `gen_ai` has OpenTelemetry's names for models' calls, which are not stable yet.
"""
