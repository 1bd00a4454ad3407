"""The RPCs that a service answers, as more than one dashboard shows them."""

from rostra_observability.panel import Panel, Query, Row, quantile, rate


def calls_row(service: str, *, times: str, codes: str) -> Row:
    """Return the row of a service's RPCs: how many, how long, with which codes.

    Args:
        service: Its job in Prometheus.
        times: What a reader should know of how long they take.
        codes: Which codes are no trouble, and which are.
    """
    job = f'job="{service}"'
    return Row(
        "Calls",
        [
            Panel(
                title="Calls by method",
                description="The ten busiest.",
                queries=[
                    Query(
                        f"topk(10, {rate('grpc_server_handled_total', by='grpc_method', labels=job)})",
                        "{{grpc_method}}",
                    )
                ],
                unit="reqps",
            ),
            Panel(
                title="Time of calls, 95 %",
                description=times,
                queries=[
                    Query(
                        quantile(0.95, "grpc_server_handling_seconds", by="grpc_method", labels=job),
                        "{{grpc_method}}",
                    )
                ],
                unit="s",
                exemplars=True,
            ),
            Panel(
                title="Calls by code",
                description=codes,
                queries=[Query(rate("grpc_server_handled_total", by="grpc_code", labels=job), "{{grpc_code}}")],
                unit="reqps",
                alerts=["RostraRpcErrors"],
            ),
        ],
    )
