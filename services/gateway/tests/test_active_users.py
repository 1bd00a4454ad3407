"""Users are counted once, whichever gateways saw them."""

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rostra_gateway.active_users import ActiveUsers
from rostra_gateway.metrics import GatewayMetrics


class Counting:
    """A gateway, as far as it counts users."""

    def __init__(self, redis: Redis) -> None:
        self.registry = CollectorRegistry()
        self.metrics = GatewayMetrics(self.registry)
        self.active_users = ActiveUsers(redis, self.metrics)

    def told(self) -> list[float | None]:
        name = "rostra_gateway_active_users"
        return [self.registry.get_sample_value(name, {"window": window}) for window in ("15m", "24h")]


async def test_users_of_all_gateways_are_counted_once(redis: Redis) -> None:
    await redis.flushdb()
    one, other = Counting(redis), Counting(redis)
    for user in ("ann", "bob", "ann", ""):
        one.metrics.see(user)
    for user in ("bob", "eve"):
        other.metrics.see(user)
    await one.active_users.count()
    await other.active_users.count()
    await one.active_users.count()
    assert one.told() == other.told() == [3, 3]
    assert not one.metrics.users_seen
    keys = await redis.keys("{active_users}:*")
    assert keys
    for key in keys:
        assert 0 < await redis.ttl(key) <= 26 * 3600


async def test_users_wait_for_redis() -> None:
    async with Redis(host="127.0.0.1", port=1) as nowhere:
        gateway = Counting(nowhere)
        gateway.metrics.see("ann")
        with pytest.raises((RedisError, OSError)):
            await gateway.active_users.count()
    assert gateway.metrics.users_seen == {"ann"}
