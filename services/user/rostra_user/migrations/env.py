"""Runs migrations on the connection that `rostra_user.migrate` has opened and locked."""

from alembic import context

import rostra_user.migrations.resumption  # noqa: F401 - makes itself known to Alembic
from rostra_user.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
