"""One JSON object per log line, on standard error, with the ids that join lines of one request."""

import logging
import logging.config

from opentelemetry import trace
from pythonjsonlogger.orjson import OrjsonFormatter

from rostra_kit.context import current_request


class RequestFilter(logging.Filter):
    """Adds the service's name and the ids of the request under way to each line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids; let every record pass."""
        record.service = self._service
        if request_id := current_request().request_id:
            record.request_id = request_id
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            record.trace_id = f"{span.trace_id:032x}"
        return True


def configure_logging(service: str, *, level: str) -> None:
    """Send the logs of this process to standard error, one JSON object per line, from `level` on."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request": {"()": RequestFilter, "service": service}},
            "formatters": {
                "json": {
                    "()": OrjsonFormatter,
                    "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                    "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                    "datefmt": "%Y-%m-%dT%H:%M:%S%z",
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["request"]}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
        }
    )
