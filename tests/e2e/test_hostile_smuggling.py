"""Bytes that a proxy and the gateway might cut into requests differently: none is taken for a request of its own."""

import asyncio

import pytest

from support.stack import SharedStack
from tests.e2e.test_hostile_http import address

pytestmark = pytest.mark.e2e

_POST = b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: smuggled\r\n\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_LENGTH = b"Content-Length: %d\r\n" % len(_SMUGGLED)
_END = b"0\r\n\r\n"

# Each is followed by what would be a request if the first one had ended where one of the readings says.
_AMBIGUOUS = {
    "length, then chunks": _POST + _LENGTH + _CHUNKED + b"\r\n" + _END,
    "chunks, then length": _POST + _CHUNKED + _LENGTH + b"\r\n" + _END,
    "two lengths": _POST + b"Content-Length: 0\r\n" + _LENGTH + b"\r\n",
    "two lengths alike": _POST + _LENGTH + _LENGTH + b"\r\n",
    "list of lengths": _POST + b"Content-Length: 0, %d\r\n\r\n" % len(_SMUGGLED),
    "signed length": _POST + b"Content-Length: +0\r\n\r\n",
    "hexadecimal length": _POST + b"Content-Length: 0x0\r\n\r\n",
    "spaced length": _POST + b"Content-Length: 0 0\r\n\r\n",
    "folded length": _POST + b"Content-Length:\r\n 0\r\n\r\n",
    "folded encoding": _POST + b"Transfer-Encoding:\r\n chunked\r\n" + _LENGTH + b"\r\n" + _END,
    "space before the colon": _POST + b"Content-Length : 0\r\n\r\n",
    "space before the colon of chunks": _POST + b"Transfer-Encoding : chunked\r\n" + _LENGTH + b"\r\n" + _END,
    "unknown encoding": _POST + b"Transfer-Encoding: xchunked\r\n" + _LENGTH + b"\r\n" + _END,
    "chunks not last": _POST + b"Transfer-Encoding: chunked, identity\r\n" + _LENGTH + b"\r\n" + _END,
    "chunks twice": _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + _END,
    "tab before chunks": _POST + b"Transfer-Encoding: \x0bchunked\r\n" + _LENGTH + b"\r\n" + _END,
    "chunk of no size": _POST + _CHUNKED + b"\r\n\r\n" + _END,
    "chunk of a negative size": _POST + _CHUNKED + b"\r\n-1\r\n" + _END,
    "chunk of a hexadecimal prefix": _POST + _CHUNKED + b"\r\n0x0\r\n\r\n",
    "chunk of an underscore": _POST + _CHUNKED + b"\r\n0_0\r\n\r\n",
    "chunk of a huge size": _POST + _CHUNKED + b"\r\n" + b"f" * 17 + b"\r\n" + _END,
    "chunk longer than it says": _POST + _CHUNKED + b"\r\n2\r\n{}}\r\n" + _END,
    "chunk that ends with LF": _POST + _CHUNKED + b"\r\n2\n{}\n0\n\n",
    "only LF": _POST.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n",
    "only CR": _POST.replace(b"\r\n", b"\r") + b"Content-Length: 0\r\r",
    "LF in a value": _POST + b"X-A: b\nContent-Length: 0\r\n\r\n",
    "CR in a value": _POST + b"X-A: b\rContent-Length: 0\r\n\r\n",
    "NUL in a name": _POST + b"Content\x00-Length: 0\r\n\r\n",
    "HTTP/1.0 with chunks": _POST.replace(b"1.1", b"1.0") + _CHUNKED + _LENGTH + b"\r\n" + _END,
}


async def talk(url: str, data: bytes) -> bytes:
    """Return all that a gateway answers until it has been quiet for a while, or hangs up."""
    reader, writer = await asyncio.open_connection(*address(url))
    answer = b""
    try:
        writer.write(data)
        while piece := await asyncio.wait_for(reader.read(65536), timeout=1.0):
            answer += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return answer


@pytest.mark.parametrize("name", _AMBIGUOUS)
async def test_ambiguous_request_is_refused_with_all_that_follows(stack: SharedStack, name: str) -> None:
    answer = await talk(stack.gateway_urls[0], _AMBIGUOUS[name] + _SMUGGLED)
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert b"HTTP/1.1 200" not in answer


async def test_request_within_a_body_stays_a_body(stack: SharedStack) -> None:
    for body in (_LENGTH + b"\r\n" + _SMUGGLED, _CHUNKED + b"\r\n%x\r\n%s\r\n" % (len(_SMUGGLED), _SMUGGLED) + _END):
        answer = await talk(stack.gateway_urls[0], _POST + body)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.startswith(b"HTTP/1.1 400 ")


async def test_what_follows_a_refused_body_is_answered_in_order(stack: SharedStack) -> None:
    compressed = _POST + b"Content-Encoding: gzip\r\n" + _LENGTH + b"\r\n" + _SMUGGLED
    large = _POST + b"Content-Length: %d\r\n\r\n" % 11_000_000 + b" " * 11_000_000
    for refused, status in ((compressed, b"415"), (large, b"413")):
        answer = await talk(stack.gateway_urls[0], refused + _SMUGGLED)
        first, second = answer.split(b"HTTP/1.1 ")[1:]
        assert first.startswith(status)
        assert second.startswith(b"200")


async def test_pipelined_requests_are_answered_in_order(stack: SharedStack) -> None:
    answer = await talk(stack.gateway_urls[0], _SMUGGLED + _POST + b"Content-Length: 2\r\n\r\n{}" + _SMUGGLED)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"200"]
