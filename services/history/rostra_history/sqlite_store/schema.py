"""The tables, and how older files become what this version expects.

`PRAGMA user_version` counts the steps that a file has been through; a new version appends steps and changes none.
"""

import aiosqlite

_STEPS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE conversation (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            metadata TEXT NOT NULL,
            title TEXT NOT NULL,
            create_time_us INTEGER NOT NULL,
            update_time_us INTEGER NOT NULL,
            next_seq INTEGER NOT NULL,
            leaf_id TEXT
        ) STRICT
        """,
        "CREATE INDEX conversation_by_age ON conversation (owner, create_time_us, id)",
        """
        CREATE TABLE item (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            thread_id TEXT NOT NULL,
            body TEXT NOT NULL,
            create_time_us INTEGER NOT NULL,
            seq INTEGER,
            parent_id TEXT,
            conversation_id TEXT,
            response_id TEXT,
            kind TEXT,
            position INTEGER NOT NULL,
            deleted INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX item_by_thread ON item (owner, thread_id, seq)",
        "CREATE INDEX item_by_conversation ON item (owner, conversation_id, seq)",
        "CREATE INDEX item_by_response ON item (owner, response_id, kind, position)",
        """
        CREATE TABLE response (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            thread_id TEXT NOT NULL,
            status TEXT NOT NULL,
            body TEXT NOT NULL,
            create_time_us INTEGER NOT NULL,
            previous_response_id TEXT,
            conversation_id TEXT,
            leaf_id TEXT,
            next_seq INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX response_by_thread ON response (owner, thread_id)",
    ),
)


async def upgrade(connection: aiosqlite.Connection) -> None:
    """Take the file through the steps that it has not been through; call this within a transaction.

    Raises:
        RuntimeError: The file was made by a newer version.
    """
    [row] = await connection.execute_fetchall("PRAGMA user_version")
    version: int = row[0]
    if version > len(_STEPS):
        raise RuntimeError(f"the database has schema version {version}; this version knows {len(_STEPS)}")
    for step in _STEPS[version:]:
        for statement in step:
            await connection.execute(statement)
    # A pragma takes no parameters.
    await connection.execute(f"PRAGMA user_version = {len(_STEPS)}")
