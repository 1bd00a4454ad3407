"""What the caller used and spent."""

import time
from typing import Annotated

from fastapi import APIRouter, Query
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.user.v1 import user_service_pb2 as pb
from rostra_gateway.dependencies import AdmittedCaller, CurrentClients
from rostra_gateway.schemas.limits import budget_per_month, money
from rostra_gateway.schemas.usage import Budget, Usage, UsageBucket, UsageQuery
from rostra_kit.errors import InvalidArgumentError

router = APIRouter(prefix="/v1/usage", tags=["Usage"])

_DEFAULT_SECONDS = 30 * 86_400


@router.get("")
async def get_usage(query: Annotated[UsageQuery, Query()], clients: CurrentClients, caller: AdmittedCaller) -> Usage:
    """Get what the caller used, summed by day (UTC) and model, and where the month's budget stands."""
    end = int(time.time()) + 1 if query.end_time is None else query.end_time
    start = max(0, end - _DEFAULT_SECONDS) if query.start_time is None else query.start_time
    if start > end:
        raise InvalidArgumentError("`start_time` is after `end_time`.", param="start_time")
    answer = await clients.user.call(
        clients.user.stub.ListUsage,
        pb.ListUsageRequest(start_time=Timestamp(seconds=start), end_time=Timestamp(seconds=end)),
    )
    return Usage(
        data=[UsageBucket.from_proto(bucket) for bucket in answer.buckets],
        budget=Budget(limit=budget_per_month(caller.user_limits), spent=money(answer.period_cost_micros)),
    )
