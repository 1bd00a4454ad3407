"""What only the SQLite store has to show: durability, upgrades, sharing a file."""

import asyncio
import itertools
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rostra_history.domain import PageRequest
from rostra_history.feedback import Rating
from rostra_history.feedback_service import FeedbackService
from rostra_history.metrics import HistoryMetrics
from rostra_history.share_service import ShareService
from rostra_history.sqlite_store import chat_completions, conversations, open_sqlite_store, responses, schema
from rostra_history.sqlite_store.database import open_database
from rostra_kit.errors import UnavailableError

WRITER = """
import asyncio, sys
from pathlib import Path
from rostra_history.domain import Conversation
from rostra_history.sqlite_store import open_sqlite_store

async def write():
    async with open_sqlite_store(Path(sys.argv[1])) as store:
        for n in range(10**9):
            conversation = Conversation(
                id=f"conv_{n}", owner="u", metadata={}, title="", create_time_us=n, update_time_us=n
            )
            await store.conversations.create(conversation, [])
            print(conversation.id, flush=True)

asyncio.run(write())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


async def test_what_was_stored_is_there_after_a_restart(path: Path, user_of) -> None:
    async with open_sqlite_store(path) as store:
        user = user_of(store)
        conversation_id = await user.conversation("one")
        await user.turn("two", "three", conversation=conversation_id)
    async with open_sqlite_store(path) as store:
        user = user_of(store, owner=user.owner)
        assert await user.context(conversation=conversation_id) == ["one", "two", "three"]


async def test_acknowledged_writes_survive_the_death_of_the_process(path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    acknowledged = [(await writer.stdout.readline()).decode().strip() for _ in range(30)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += (await writer.stdout.read()).decode().split("\n")[:-1]
    await writer.wait()
    async with open_sqlite_store(path) as store:
        for conversation_id in acknowledged:
            await store.conversations.get(owner="u", conversation_id=conversation_id)


async def test_two_processes_worth_of_stores_share_a_file(path: Path, user_of) -> None:
    async with open_sqlite_store(path) as one, open_sqlite_store(path) as two:
        users = [user_of(one, owner="u"), user_of(two, owner="u")]
        conversation_id = await users[0].conversation()
        await asyncio.gather(*(users[n % 2].say(conversation_id, str(n)) for n in range(40)))
        members = await users[1].members(conversation_id)
    assert [item.seq for item in members] == list(range(40))


async def test_cancelled_write_ends_whole(path: Path, user_of) -> None:
    async with open_sqlite_store(path) as store:
        user = user_of(store)
        conversation_id = await user.conversation()
        writes = [asyncio.create_task(user.say(conversation_id, f"{n}a", f"{n}b")) for n in range(20)]
        for _ in range(5):
            await asyncio.sleep(0)
        for write in writes:
            write.cancel()
        await asyncio.gather(*writes, return_exceptions=True)
    async with open_sqlite_store(path) as store:
        user = user_of(store, owner=user.owner)
        texts = await user.texts(conversation_id)
    assert [text[:-1] for text in texts[::2]] == [text[:-1] for text in texts[1::2]]


async def test_failed_transaction_leaves_nothing_and_does_not_block(path: Path) -> None:
    async with open_database(path) as database:

        def fail(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO response VALUES ('r', 'u', 't', 's', '', 0, NULL, NULL, NULL, 0, 0, 0, 0)")
            raise LookupError

        with pytest.raises(LookupError):
            await database.write(fail)
        assert await database.fetch("SELECT * FROM response") == []
        await database.write(lambda connection: connection.execute("DELETE FROM response").rowcount)


async def test_broken_file_is_unavailable(path: Path) -> None:
    async with open_sqlite_store(path) as store:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE conversation")
        connection.close()
        with pytest.raises(UnavailableError) as caught:
            await store.conversations.get(owner="u", conversation_id="c")
        assert caught.value.retry_after_seconds == 1


async def test_file_of_a_newer_version_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RuntimeError, match="schema version 99"):
        async with open_sqlite_store(path):
            pass


async def test_file_of_an_older_version_is_upgraded(path: Path, user_of, runner_of) -> None:
    connection = sqlite3.connect(path)
    for statement in schema._STEPS[0]:
        connection.execute(statement)
    row = "INSERT INTO response VALUES (?, 'u', ?, ?, '{}', 1800000000000000, NULL, NULL, NULL, 0)"
    connection.executemany(row, [("resp_1", "resp_1", "in_progress"), ("resp_2", "resp_2", "completed")])
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    async with open_sqlite_store(path) as store:
        user, runner = user_of(store, owner="u"), runner_of(store)
        response = await store.responses.get(owner="u", response_id="resp_2")
        assert (response.status, response.background, response.attempt) == ("completed", False, 0)
        assert await runner.claim() is None
        runner.clock.advance(seconds=4200)
        assert await runner.claimed_id() == "resp_1"
        await user.end("resp_1", "a", attempt=1)
        assert await user.output("resp_1") == ["a"]


async def test_items_of_an_older_version_are_read_rated_and_shared(path: Path, user_of, clock) -> None:
    connection = sqlite3.connect(path)
    for step in schema._STEPS[:2]:
        for statement in step:
            connection.execute(statement)
    connection.execute("INSERT INTO conversation VALUES ('conv_1', 'u', '{}', '', 1, 1, 1, 'msg_1')")
    body = '{"type":"message","role":"user","content":[{"type":"input_text","text":"old"}]}'
    row = "INSERT INTO item VALUES ('msg_1', 'u', 'conv_1', ?, 1, 0, NULL, 'conv_1', NULL, NULL, 0, 0)"
    connection.execute(row, (body,))
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    async with open_sqlite_store(path) as store:
        [item] = await user_of(store, owner="u").members("conv_1")
        assert (item.body, item.feedback) == (body, None)
        metrics = HistoryMetrics(CollectorRegistry())
        feedback = FeedbackService(store=store, metrics=metrics, now_us=clock)
        name = {"owner": "u", "conversation_id": "conv_1", "item_id": "msg_1"}
        given = await feedback.update(**name, rating=Rating.POSITIVE, comment="")
        assert await feedback.get(**name) == given
        shares = ShareService(store=store, metrics=metrics, now_us=clock)
        share = await shares.create(owner="u", conversation_id="conv_1", expire_time_us=None)
        _, page = await shares.read(share_id=share.id, page=PageRequest(limit=1))
        assert [message.id for message in page.elements] == ["msg_1"]


async def test_run_goes_with_its_response(path: Path, user_of) -> None:
    async with open_sqlite_store(path) as store:
        user = user_of(store)
        ended, deleted, _ = [await user.begin("q") for _ in range(3)]
        await user.end(ended, "a")
        await store.responses.delete(owner=user.owner, response_id=deleted)
        assert len(await store._database.fetch("SELECT * FROM run")) == 1
        await store.delete_owner(owner=user.owner)
        assert await store._database.fetch("SELECT * FROM run") == []


async def test_postings_are_of_members_and_titles_and_go_with_them(path: Path, user_of) -> None:
    async with open_sqlite_store(path) as store:
        user = user_of(store)

        async def terms() -> list[str]:
            return [row["term"] for row in await store._database.fetch("SELECT term FROM posting ORDER BY term")]

        await user.turn("chained", "chained")
        conversation_id = await user.conversation("title", "first said")
        failed = await user.begin("failing", conversation=conversation_id)
        await user.end(failed, "failing", status="failed")
        assert await terms() == ["first", "said", "title", "title"]
        *_, item = await user.members(conversation_id)
        await user.service.delete_item(owner=user.owner, conversation_id=conversation_id, item_id=item.id)
        assert await terms() == ["title", "title"]
        assert await store._database.fetch("SELECT terms FROM item WHERE id = ? AND terms != '[]'", (item.id,)) == []
        await user.turn("asked", "answered", conversation=conversation_id)
        assert await terms() == ["answered", "asked", "title", "title"]
        await store.conversations.delete(owner=user.owner, conversation_id=conversation_id)
        assert await terms() == []
        await user.conversation("again")
        await store.delete_owner(owner=user.owner)
        assert await terms() == []


async def test_what_an_older_file_holds_is_found(path: Path) -> None:
    connection = sqlite3.connect(path)
    for statement in itertools.chain.from_iterable(schema._STEPS[:2]):
        connection.execute(statement)
    body = json.dumps({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "prows"}]})
    connection.execute("INSERT INTO conversation VALUES ('conv_1', 'u', '{}', 'Ships', 1, 1, 1, 'msg_1')")
    connection.execute(
        "INSERT INTO item VALUES ('msg_1', 'u', 'conv_1', ?, 1, 0, NULL, 'conv_1', NULL, NULL, 0, 0)", (body,)
    )
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    async with open_sqlite_store(path) as store:
        for word, found in (("prows", "msg_1"), ("ships", "conv_1")):
            [hit] = await store.search.find(owner="u", terms=[word], before=None, limit=2)
            assert (hit.rank.id, hit.conversation_id) == (found, "conv_1")


async def test_every_query_of_a_list_uses_its_index(path: Path) -> None:
    queries = {
        "run_by_age": "SELECT response_id FROM run WHERE claim_time_us <= 9 AND lease_end_us < 9 "
        "ORDER BY claim_time_us LIMIT 1",
        "conversation_by_create_time": conversations._NEWEST.format(time="create_time_us"),
        "conversation_by_update_time": conversations._OLDEST.format(time="update_time_us"),
        "response_by_create_time": responses._NEWEST_RESPONSES,
        "item_by_conversation": "SELECT * FROM item WHERE owner = 'u' AND conversation_id = 'c' AND seq < 9 "
        "AND NOT deleted ORDER BY seq DESC LIMIT 9",
        "item_by_thread": "SELECT * FROM item WHERE owner = 'u' AND thread_id = 't' AND seq < 9 ORDER BY seq",
        "item_by_response": "SELECT * FROM item WHERE owner = 'u' AND response_id = 'r' AND kind = 'input' "
        "AND position < 9 AND NOT deleted ORDER BY position DESC LIMIT 9",
        "share_by_age": "SELECT * FROM share WHERE owner = 'u' AND (create_time_us, id) < (1, 's') "
        "ORDER BY create_time_us DESC, id DESC LIMIT 9",
        "share_by_conversation": "SELECT * FROM share WHERE owner = 'u' AND conversation_id = 'c' "
        "AND (create_time_us, id) > (1, 's') ORDER BY create_time_us, id LIMIT 9",
        "chat_completion_by_age": chat_completions._page_query(tag_count=0, descending=False),
        "sqlite_autoindex_chat_completion_1": chat_completions._page_query(tag_count=1, descending=True),
        "listed USING PRIMARY KEY": chat_completions._page_query(tag_count=3, descending=False),
        "other USING COVERING INDEX": chat_completions._page_query(tag_count=3, descending=True),
    }
    async with open_database(path) as database:
        for index, query in queries.items():
            plan = " ".join(
                row["detail"] for row in await database.fetch("EXPLAIN QUERY PLAN " + query, [1] * query.count("?"))
            )
            assert index in plan
            assert "TEMP B-TREE" not in plan
