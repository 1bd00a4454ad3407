"""One JSON object per log line, on standard error, with the ids that join lines of one request."""

import logging
import logging.config
import re
import time
from functools import lru_cache
from typing import Any

import orjson
from opentelemetry import trace

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


# What every record has; the rest was given by `extra`, or by the filter.
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message"}


class LineFormatter(logging.Formatter):
    """Writes a record as one line of JSON to every reader, whatever its values hold."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": _written(int(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack_info"] = self.formatStack(record.stack_info)
        written = orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


@lru_cache(maxsize=1)
def _written(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))


def configure_logging(service: str, *, level: str) -> None:
    """Send the logs of this process to standard error, one JSON object per line, from `level` on.

    Of libraries nothing below "info" is logged.
    """
    # What no line tells need not be found out for each.
    logging._srcfile = None  # noqa: SLF001 - the way that Python's documentation names
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request": {"()": RequestFilter, "service": service}},
            "formatters": {"json": {"()": LineFormatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["request"]}},
            # What libraries tell of at the level "debug" is what they are given: statements with their values, bodies.
            "root": {
                "handlers": ["stderr"],
                "level": max(logging.INFO, logging.getLevelNamesMapping()[level.upper()]),
            },
            "loggers": {f"rostra_{package}": {"level": level.upper()} for package in ("kit", service)},
        }
    )
