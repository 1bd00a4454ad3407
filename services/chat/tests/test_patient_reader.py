import asyncio
from contextlib import closing

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from rostra_chat.providers.patient_reader import PatientReader


@pytest.fixture
async def stream():
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    return aiohttp.StreamReader(protocol, 2**16, loop=loop)


def in_seconds(seconds):
    return asyncio.get_running_loop().time() + seconds


async def test_silence_beyond_the_deadline_is_a_timeout(stream):
    with closing(PatientReader(stream)) as reader, pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(deadline=in_seconds(0.02)), 1)


async def test_later_deadline_counts_and_the_earlier_one_does_not(stream):
    with closing(PatientReader(stream)) as reader:
        stream.feed_data(b"a")
        assert await reader.read(deadline=in_seconds(0.01)) == b"a"
        asyncio.get_running_loop().call_later(0.03, stream.feed_data, b"b")
        assert await reader.read(deadline=in_seconds(5)) == b"b"


async def test_nearer_deadline_than_the_one_before_is_kept(stream):
    with closing(PatientReader(stream)) as reader:
        stream.feed_data(b"a")
        await reader.read(deadline=in_seconds(60))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(deadline=in_seconds(0.02)), 1)


async def test_moved_deadline_is_kept_when_the_timer_looks(stream):
    with closing(PatientReader(stream)) as reader:
        stream.feed_data(b"a")
        await reader.read(deadline=in_seconds(0.02))
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(deadline=in_seconds(0.06)), 1)
        assert asyncio.get_running_loop().time() - began >= 0.05


async def test_time_between_reads_does_not_count(stream):
    with closing(PatientReader(stream)) as reader:
        stream.feed_data(b"a")
        await reader.read(deadline=in_seconds(0.01))
        await asyncio.sleep(0.03)
        stream.feed_data(b"b")
        assert await reader.read(deadline=in_seconds(1)) == b"b"
