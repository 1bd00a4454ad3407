"""The log lines."""

import json
import logging
from collections.abc import Iterator

import pytest

from rostra_kit.context import RequestContext, set_current_request
from rostra_kit.logging import configure_logging


@pytest.fixture
def configured_root(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging("chat", level="info")
    yield
    root.handlers[:], level = before
    root.setLevel(level)


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return json.loads(capsys.readouterr().err.strip().splitlines()[-1])


@pytest.mark.usefixtures("configured_root")
async def test_line_names_service_and_request(capsys: pytest.CaptureFixture[str]) -> None:
    set_current_request(RequestContext(request_id="req_1"))
    logging.getLogger("somewhere").info("hello %s", "you", extra={"seconds": 0.5})
    line = last_line(capsys)
    assert line["message"] == "hello you"
    assert (line["service"], line["request_id"], line["seconds"]) == ("chat", "req_1", 0.5)
    assert line["level"] == "INFO"


@pytest.mark.usefixtures("configured_root")
def test_line_break_in_a_value_stays_inside_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("somewhere").warning("one\ntwo %s", "\r\n{}")
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.usefixtures("configured_root")
def test_level_below_the_lowest_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("somewhere").debug("quiet")
    assert capsys.readouterr().err == ""
