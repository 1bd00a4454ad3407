"""Statements are measured by the word they begin with."""

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import create_async_engine

from rostra_kit.telemetry.database import DatabaseMetrics
from rostra_kit.telemetry.sql import watch_statements


@pytest.mark.parametrize("statement", ["SELECT 1", f"{' ' * 40}\n select 1"])
async def test_statement_is_measured_whatever_it_is_indented_by(statement: str) -> None:
    registry = CollectorRegistry()
    engine = create_async_engine("sqlite+aiosqlite://")
    watch_statements(engine, DatabaseMetrics(registry))
    async with engine.connect() as connection:
        await connection.exec_driver_sql(statement)
    await engine.dispose()
    assert registry.get_sample_value("rostra_database_seconds_count", {"operation": "select"}) == 1
