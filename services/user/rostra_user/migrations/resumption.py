"""Lets a migration that broke off on MySQL or MariaDB be run again.

There each change of the schema is committed by itself, so a process that is killed leaves the first steps of a revision
behind. Migrations run under a lock and only where the revision is not recorded: what is there already is what such a
process has left, and is passed over. Rows are recorded together with the revision when they come after its last change
of the schema, which is therefore where a migration writes them.
"""

import logging
from typing import Any

from alembic.ddl.mysql import MySQLImpl
from sqlalchemy import CursorResult
from sqlalchemy.exc import DBAPIError

logger = logging.getLogger(__name__)

# A table, column, index, foreign key or check that exists, or does not exist any more.
_DONE_ALREADY = {1050, 1060, 1061, 1826, 3822, 1051, 1091}


class ResumingImpl(MySQLImpl):
    """Alembic's operations, each of which may have been done before."""

    __dialect__ = "mysql"

    def _exec(self, *arguments: Any, **options: Any) -> CursorResult[Any] | None:
        try:
            return super()._exec(*arguments, **options)
        except DBAPIError as error:
            if error.orig is None or error.orig.args[0] not in _DONE_ALREADY:
                raise
            logger.warning("done by a migration that broke off: %s", error.orig)
            return None
