"""Column types that mean the same on SQLite, MySQL and MariaDB."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, LargeBinary
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

_MYSQL = ("mysql", "mariadb")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with microseconds, stored as UTC.

    No dialect stores a zone: they drop the offset silently, so that 12:00+05:00 would come back as 12:00.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """Return the dialect's type; MySQL keeps whole seconds unless told otherwise."""
        if dialect.name in _MYSQL:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - given
        """Convert to UTC and drop the zone; a moment without one is a mistake."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment must know its zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - given
        """Say that what was stored is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


def sha256_digest() -> LargeBinary:
    """Return the type of a SHA-256 digest; a plain `LargeBinary(32)` would be a TINYBLOB, which cannot be indexed."""
    return LargeBinary(32).with_variant(mysql.BINARY(32), *_MYSQL)
