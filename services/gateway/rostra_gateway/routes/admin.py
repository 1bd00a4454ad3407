"""Administration: accounts, plans, audit events and usage. Who is no administrator gets 403, always the same."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from google.protobuf.timestamp_pb2 import Timestamp

from rostra.user.v1 import admin_service_pb2 as pb
from rostra.user.v1 import plan_pb2
from rostra_gateway.body import read_small_json, validate
from rostra_gateway.dependencies import CurrentClients, admit_administrator
from rostra_gateway.lists import PageQuery
from rostra_gateway.openapi import request_body
from rostra_gateway.path_ids import PlanName, UserId
from rostra_gateway.schemas.admin import (
    AdministeredUser,
    AllUsage,
    AllUsageQuery,
    AuditEvent,
    AuditQuery,
    DeletedPlan,
    Plan,
    PutPlanRequest,
    UpdateUserRequest,
    UsersQuery,
    role_to_proto,
)
from rostra_gateway.schemas.list_object import ListObject
from rostra_gateway.schemas.usage import UsageBucket
from rostra_kit.errors import InvalidArgumentError

router = APIRouter(prefix="/v1/admin", tags=["Administration"], dependencies=[Depends(admit_administrator)])

_DEFAULT_SECONDS = 30 * 86_400
_LONGEST_SECONDS = 366 * 86_400


@router.get("/users")
async def list_users(query: Annotated[UsersQuery, Query()], clients: CurrentClients) -> ListObject[AdministeredUser]:
    """List accounts, newest first unless `order` is `asc`; those whose address begins with `email`."""
    request = pb.ListUsersRequest(page=query.to_proto(), email_prefix=query.email)
    answer = await clients.admin.call(clients.admin.stub.ListUsers, request)
    users = [AdministeredUser.from_proto(user) for user in answer.users]
    return ListObject[AdministeredUser].of(users, has_more=answer.has_more)


@router.get("/users/{user_id}")
async def get_user(user_id: UserId, clients: CurrentClients) -> AdministeredUser:
    """Get an account."""
    answer = await clients.admin.call(clients.admin.stub.GetAnyUser, pb.GetAnyUserRequest(user_id=user_id))
    return AdministeredUser.from_proto(answer.user)


@router.patch("/users/{user_id}", openapi_extra=request_body(UpdateUserRequest, required=False))
async def update_user(user_id: UserId, request: Request, clients: CurrentClients) -> AdministeredUser:
    """Change an account's role, plan or limits, or close it to its user; it holds on every gateway within a second."""
    body = validate(UpdateUserRequest, await read_small_json(request))
    change = pb.UpdateAnyUserRequest(
        user_id=user_id,
        role=role_to_proto(body.role),
        plan=body.plan,
        disabled=body.disabled,
        limit_override=body.limit_override.to_proto() if body.limit_override else None,
        end_limit_override=body.ends_override,
    )
    answer = await clients.admin.call(clients.admin.stub.UpdateAnyUser, change)
    return AdministeredUser.from_proto(answer.user)


@router.get("/plans")
async def list_plans(page: Annotated[PageQuery, Query()], clients: CurrentClients) -> ListObject[Plan]:
    """List plans by name, from the end of the alphabet unless `order` is `asc`."""
    answer = await clients.admin.call(clients.admin.stub.ListPlans, pb.ListPlansRequest(page=page.to_proto()))
    return ListObject[Plan].of([Plan.from_proto(plan) for plan in answer.plans], has_more=answer.has_more)


@router.put("/plans/{plan}", openapi_extra=request_body(PutPlanRequest))
async def put_plan(plan: PlanName, request: Request, clients: CurrentClients) -> Plan:
    """Create a plan or replace its limits; they hold on every gateway within a second."""
    body = validate(PutPlanRequest, await read_small_json(request))
    wanted = plan_pb2.Plan(name=plan, limits=body.limits.to_proto())
    answer = await clients.admin.call(clients.admin.stub.PutPlan, pb.PutPlanRequest(plan=wanted))
    return Plan.from_proto(answer.plan)


@router.delete("/plans/{plan}")
async def delete_plan(plan: PlanName, clients: CurrentClients) -> DeletedPlan:
    """Delete a plan that nobody is on."""
    await clients.admin.call(clients.admin.stub.DeletePlan, pb.DeletePlanRequest(plan=plan))
    return DeletedPlan(id=plan)


@router.get("/audit_events")
async def list_audit_events(query: Annotated[AuditQuery, Query()], clients: CurrentClients) -> ListObject[AuditEvent]:
    """List audit events, newest first unless `order` is `asc`."""
    request = pb.ListAuditEventsRequest(
        page=query.to_proto(),
        user_id=query.user_id,
        event=query.event,
        start_time=_moment(query.start_time),
        end_time=_moment(query.end_time),
    )
    answer = await clients.admin.call(clients.admin.stub.ListAuditEvents, request)
    events = [AuditEvent.from_proto(event) for event in answer.audit_events]
    return ListObject[AuditEvent].of(events, has_more=answer.has_more)


@router.get("/usage")
async def get_all_usage(query: Annotated[AllUsageQuery, Query()], clients: CurrentClients) -> AllUsage:
    """Get what all users used, or one of them, summed by day (UTC) and model."""
    end = int(time.time()) + 1 if query.end_time is None else query.end_time
    start = max(0, end - _DEFAULT_SECONDS) if query.start_time is None else query.start_time
    if not 0 <= end - start <= _LONGEST_SECONDS:
        raise InvalidArgumentError("`start_time` is at most 366 days before `end_time`.", param="start_time")
    request = pb.ListAllUsageRequest(start_time=_moment(start), end_time=_moment(end), user_id=query.user_id)
    answer = await clients.admin.call(clients.admin.stub.ListAllUsage, request)
    return AllUsage(data=[UsageBucket.from_proto(bucket) for bucket in answer.buckets])


def _moment(seconds: int | None) -> Timestamp | None:
    return None if seconds is None else Timestamp(seconds=seconds)
