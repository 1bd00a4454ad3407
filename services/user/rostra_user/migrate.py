"""Brings the database's schema up to date: `python -m rostra_user.migrate`, for a job that runs before a release."""

import asyncio
import logging

from rostra_kit.logging import configure_logging
from rostra_user.settings import DatabaseSettings, MigrationSettings
from rostra_user.sql.engine import open_engine
from rostra_user.sql.migration import upgrade

logger = logging.getLogger(__name__)


async def migrate(database: DatabaseSettings) -> None:
    """Apply the migrations that the database lacks."""
    async with open_engine(database) as engine:
        await upgrade(engine)
    logger.info("the schema is up to date")


if __name__ == "__main__":
    settings = MigrationSettings()
    configure_logging("user-migrate", level=settings.log_level)
    asyncio.run(migrate(settings.database))
