"""The stores of `rostra_user.store` on SQL: SQLite embedded, MySQL or MariaDB by URL."""
