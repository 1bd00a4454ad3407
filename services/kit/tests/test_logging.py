"""The log lines, as a process writes them."""

import json
import subprocess
import sys
from typing import Any

PRELUDE = """
import logging
from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.logging import configure_logging
configure_logging("chat", level="info")
log = logging.getLogger("somewhere")
"""


def lines_of(code: str) -> list[dict[str, Any]]:
    ran = subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, check=True, timeout=30)
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_line_names_service_and_request() -> None:
    code = (
        'set_current_request(RequestContext(request_id="req_1")); log.info("hello %s", "you", extra={"seconds": 0.5})'
    )
    (line,) = lines_of(code)
    assert (line["message"], line["level"], line["logger"]) == ("hello you", "INFO", "somewhere")
    assert (line["service"], line["request_id"], line["seconds"]) == ("chat", "req_1", 0.5)


def test_line_break_in_a_value_stays_inside_the_line() -> None:
    (line,) = lines_of(r'log.warning("one\ntwo %s", "\r\n{}")')
    assert line["message"] == "one\ntwo \r\n{}"


def test_traceback_stays_inside_the_line() -> None:
    (line,) = lines_of("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('broken')")
    assert "ZeroDivisionError" in line["exc_info"]


def test_level_below_the_lowest_is_not_logged() -> None:
    assert lines_of('log.debug("quiet")') == []
