"""The history of the database's schema (Alembic). Run it with `python -m rostra_user.migrate`."""
