"""`Idempotency-Key`: a request that is sent again, because its answer was lost, has the answer of the first one.

`route` is how routes are given it, `claim` one request's hold on its key, `recorded_stream` the answers that are
streamed, and `store` what Redis keeps. A request without the header passes by all of it.
"""
