"""The tables, and how older files become what this version expects.

`PRAGMA user_version` counts the steps that a file has been through; a new version appends steps and changes none.
"""

import sqlite3

from rostra_history.item_text import terms_of_body
from rostra_history.sqlite_store.rows import terms_text
from rostra_history.terms import terms_of

# The statements that let `posting` follow a table, whose `terms` is a JSON list.
_ADD = """
INSERT INTO posting (owner, term, create_time_us, id)
SELECT NEW.owner, value, NEW.create_time_us, NEW.id FROM json_each(NEW.terms)
"""
_REMOVE = """
DELETE FROM posting WHERE owner = OLD.owner AND term IN (SELECT value FROM json_each(OLD.terms))
    AND create_time_us = OLD.create_time_us AND id = OLD.id
"""
# An item is found once it is a member of a conversation.
_ADD_MEMBER = f"{_ADD} WHERE NEW.conversation_id IS NOT NULL"

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
    (
        "ALTER TABLE response ADD COLUMN background INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE response ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0",
        # What there is of a response until it ends.
        """
        CREATE TABLE run (
            response_id TEXT PRIMARY KEY REFERENCES response (id) ON DELETE CASCADE,
            claim_time_us INTEGER NOT NULL,
            lease_end_us INTEGER NOT NULL,
            tries INTEGER NOT NULL,
            cancel_requested INTEGER NOT NULL,
            request_body BLOB,
            caller BLOB
        ) STRICT
        """,
        "CREATE INDEX run_by_age ON run (claim_time_us, lease_end_us)",
        """
        INSERT INTO run (response_id, claim_time_us, lease_end_us, tries, cancel_requested)
        SELECT id, create_time_us + 4200000000, 0, 0, 0 FROM response WHERE status = 'in_progress'
        """,
    ),
    (
        "ALTER TABLE conversation ADD COLUMN archived INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE conversation ADD COLUMN switch_count INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE response ADD COLUMN switch_count INTEGER NOT NULL DEFAULT 0",
        "DROP INDEX conversation_by_age",
        "CREATE INDEX conversation_by_create_time ON conversation (owner, archived, create_time_us, id)",
        "CREATE INDEX conversation_by_update_time ON conversation (owner, archived, update_time_us, id)",
    ),
    (
        "ALTER TABLE item ADD COLUMN feedback_rating TEXT",
        "ALTER TABLE item ADD COLUMN feedback_comment TEXT",
        "ALTER TABLE item ADD COLUMN feedback_time_us INTEGER",
        """
        CREATE TABLE share (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            conversation_id TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
            leaf_id TEXT,
            end_seq INTEGER NOT NULL,
            title TEXT NOT NULL,
            create_time_us INTEGER NOT NULL,
            expire_time_us INTEGER
        ) STRICT
        """,
        "CREATE INDEX share_by_age ON share (owner, create_time_us, id)",
        # Without the owner in front, for the cascade asks for the conversation alone.
        "CREATE INDEX share_by_conversation ON share (conversation_id, create_time_us, id)",
    ),
    (
        """
        CREATE TABLE chat_completion (
            id TEXT NOT NULL,
            owner TEXT NOT NULL,
            models TEXT NOT NULL,
            metadata TEXT NOT NULL,
            body TEXT NOT NULL,
            message_count INTEGER NOT NULL,
            create_time_us INTEGER NOT NULL,
            PRIMARY KEY (owner, id)
        ) STRICT
        """,
        "CREATE INDEX chat_completion_by_age ON chat_completion (owner, create_time_us, id)",
        """
        CREATE TABLE chat_completion_tag (
            owner TEXT NOT NULL,
            tag TEXT NOT NULL,
            create_time_us INTEGER NOT NULL,
            completion_id TEXT NOT NULL,
            PRIMARY KEY (owner, tag, create_time_us, completion_id),
            FOREIGN KEY (owner, completion_id) REFERENCES chat_completion (owner, id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID
        """,
        # What goes with a completion is found by it.
        "CREATE INDEX chat_completion_tag_by_completion ON chat_completion_tag (owner, completion_id)",
        """
        CREATE TABLE chat_message (
            owner TEXT NOT NULL,
            completion_id TEXT NOT NULL,
            position INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (owner, completion_id, position),
            FOREIGN KEY (owner, completion_id) REFERENCES chat_completion (owner, id) ON DELETE CASCADE
        ) STRICT
        """,
    ),
    (
        "ALTER TABLE item ADD COLUMN terms TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE conversation ADD COLUMN terms TEXT NOT NULL DEFAULT '[]'",
        # What members of conversations, and titles, are found by; triggers keep it, so that no write can forget to.
        """
        CREATE TABLE posting (
            owner TEXT NOT NULL,
            term TEXT NOT NULL,
            create_time_us INTEGER NOT NULL,
            id TEXT NOT NULL,
            PRIMARY KEY (owner, term, create_time_us, id)
        ) STRICT, WITHOUT ROWID
        """,
        f"CREATE TRIGGER item_added AFTER INSERT ON item BEGIN {_ADD_MEMBER}; END",
        f"""
        CREATE TRIGGER item_changed AFTER UPDATE OF terms, conversation_id ON item BEGIN {_REMOVE}; {_ADD_MEMBER}; END
        """,
        f"CREATE TRIGGER item_removed AFTER DELETE ON item BEGIN {_REMOVE}; END",
        f"CREATE TRIGGER conversation_added AFTER INSERT ON conversation BEGIN {_ADD}; END",
        f"CREATE TRIGGER conversation_changed AFTER UPDATE OF terms ON conversation BEGIN {_REMOVE}; {_ADD}; END",
        f"CREATE TRIGGER conversation_removed AFTER DELETE ON conversation BEGIN {_REMOVE}; END",
        "UPDATE item SET terms = terms_of_body(body) WHERE NOT deleted",
        "UPDATE conversation SET terms = terms_of_title(title)",
    ),
    ("CREATE INDEX response_by_create_time ON response (owner, create_time_us, id)",),
)


def upgrade(connection: sqlite3.Connection) -> None:
    """Take the file through the steps that it has not been through; call this within a transaction.

    Raises:
        RuntimeError: The file was made by a newer version.
    """
    [row] = connection.execute("PRAGMA user_version").fetchall()
    version: int = row[0]
    if version > len(_STEPS):
        raise RuntimeError(f"the database has schema version {version}; this version knows {len(_STEPS)}")
    connection.create_function("terms_of_body", 1, lambda body: terms_text(terms_of_body(body)))
    connection.create_function("terms_of_title", 1, lambda title: terms_text(terms_of(title)))
    for step in _STEPS[version:]:
        for statement in step:
            connection.execute(statement)
    # A pragma takes no parameters.
    connection.execute(f"PRAGMA user_version = {len(_STEPS)}")
