"""Metrics of RPCs, served and made, under the names that gRPC's communities query."""

from prometheus_client import CollectorRegistry

from rostra_kit.telemetry.instruments import Counter, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class RpcMetrics:
    """Counts the RPCs served and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter("grpc_server_started", "RPCs begun.", ["grpc_service", "grpc_method"], registry=registry)
        self.handled = Counter(
            "grpc_server_handled", "RPCs ended.", ["grpc_service", "grpc_method", "grpc_code"], registry=registry
        )
        self.handling_seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from the first to the last byte of an RPC.",
            ["grpc_service", "grpc_method"],
            buckets=_SECONDS,
            registry=registry,
        )


class ClientRpcMetrics:
    """Counts the RPCs made and how long they took for the caller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.handled = Counter(
            "grpc_client_handled",
            "RPCs made, as they ended for the caller.",
            ["grpc_service", "grpc_method", "grpc_code"],
            registry=registry,
        )
        self.handling_seconds = Histogram(
            "grpc_client_handling_seconds",
            "Time of RPCs for the caller, retries included.",
            ["grpc_service", "grpc_method"],
            buckets=_SECONDS,
            registry=registry,
        )
