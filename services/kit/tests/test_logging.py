"""The log lines, as a process writes them."""

import json
import subprocess
import sys
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    "character", ["\r", "\n", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\u2066"]
)
def test_character_that_could_act_on_a_reader_is_written_as_its_number(character: str) -> None:
    code = f"log.warning({'a' + character + 'b'!r}, extra={{'model': {character!r}, {'k' + character!r}: 1}})"
    ran = subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, check=True, timeout=30)
    written = ran.stderr.decode()
    assert len(written.splitlines()) == 1
    assert character not in written.removesuffix("\n")
    line = json.loads(written)
    assert (line["message"], line["model"], line["k" + character]) == (f"a{character}b", character, 1)


def test_traceback_stays_inside_the_line() -> None:
    (line,) = lines_of("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('broken')")
    assert "ZeroDivisionError" in line["exc_info"]


def test_level_below_the_lowest_is_not_logged() -> None:
    assert lines_of('log.debug("quiet")') == []


def test_debug_is_the_level_of_rostra_and_not_of_libraries() -> None:
    code = """
configure_logging("chat", level="debug")
for name in ("rostra_chat.app", "rostra_kit.client", "aiosqlite"):
    logging.getLogger(name).debug("detail")
    logging.getLogger(name).info("news")
"""
    assert [(line["logger"], line["message"]) for line in lines_of(code)] == [
        *(("rostra_chat.app", "detail"), ("rostra_chat.app", "news"), ("rostra_kit.client", "detail")),
        *(("rostra_kit.client", "news"), ("aiosqlite", "news")),
    ]


def test_level_above_info_holds_for_libraries_too() -> None:
    code = 'configure_logging("chat", level="error")\nlogging.getLogger("aiosqlite").warning("news")\nlog.error("bad")'
    assert [line["message"] for line in lines_of(code)] == ["bad"]
