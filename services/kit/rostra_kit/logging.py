"""One JSON object per log line, on standard error, with the ids that join lines of one request."""

import logging
import logging.config
import re

from opentelemetry import trace
from pythonjsonlogger.core import LogData
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


# Valid in JSON, but ends of lines to some readers, orders to a terminal, or letters that turn the text around them.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class LineFormatter(OrjsonFormatter):
    """Writes a record as one line of JSON to every reader, whatever its values hold."""

    def jsonify_log_record(self, log_data: LogData) -> str:
        """Return the line."""
        return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", super().jsonify_log_record(log_data))


def configure_logging(service: str, *, level: str) -> None:
    """Send the logs of this process to standard error, one JSON object per line, from `level` on.

    Of libraries nothing below "info" is logged.
    """
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request": {"()": RequestFilter, "service": service}},
            "formatters": {
                "json": {
                    "()": LineFormatter,
                    "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                    "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                    "datefmt": "%Y-%m-%dT%H:%M:%S%z",
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["request"]}},
            # What libraries tell of at the level "debug" is what they are given: statements with their values, bodies.
            "root": {
                "handlers": ["stderr"],
                "level": max(logging.INFO, logging.getLevelNamesMapping()[level.upper()]),
            },
            "loggers": {f"rostra_{package}": {"level": level.upper()} for package in ("kit", service)},
        }
    )
