"""The administration over gRPC: check who calls, translate, call, translate. Errors pass through untouched."""

# ruff: noqa: ARG002 - gRPC passes a context that no RPC here needs

from __future__ import annotations  # grpc's types are generic only for the type checker

from datetime import UTC, datetime
from typing import Any

import grpc

from rostra.user.v1 import admin_service_pb2 as pb
from rostra.user.v1 import user_pb2
from rostra.user.v1.admin_service_pb2_grpc import AdminServiceServicer
from rostra_kit.context import current_caller
from rostra_user import mapping
from rostra_user.clock import Clock
from rostra_user.domain import AccessChange, AuditFilter, User
from rostra_user.service.admin import AdminService

Context = grpc.aio.ServicerContext[Any, Any]

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class AdminServicer(AdminServiceServicer):
    """Answers the RPCs of `rostra.user.v1.AdminService`."""

    def __init__(self, admin: AdminService, *, clock: Clock) -> None:
        self._admin = admin
        self._clock = clock

    async def ListUsers(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        """List accounts."""
        await self._admin.authorize(current_caller(), "ListUsers")
        page = mapping.page_from_proto(request.page)
        users, has_more = await self._admin.list_users(page, email_prefix=request.email_prefix)
        return pb.ListUsersResponse(users=map(self._to_proto, users), has_more=has_more)

    async def GetAnyUser(self, request: pb.GetAnyUserRequest, context: Context) -> pb.GetAnyUserResponse:
        """Get an account."""
        await self._admin.authorize(current_caller(), "GetAnyUser", user_id=request.user_id)
        user = await self._admin.get_user(request.user_id)
        return pb.GetAnyUserResponse(user=self._to_proto(user))

    async def UpdateAnyUser(self, request: pb.UpdateAnyUserRequest, context: Context) -> pb.UpdateAnyUserResponse:
        """Change what an account may do."""
        caller = current_caller()
        await self._admin.authorize(caller, "UpdateAnyUser", user_id=request.user_id, is_read=False)
        change = AccessChange(
            role=mapping.role_from_proto(request.role),
            plan=request.plan if request.HasField("plan") else None,
            disabled=request.disabled if request.HasField("disabled") else None,
            limit_override=mapping.override_from_proto(request.limit_override)
            if request.HasField("limit_override")
            else None,
            ends_override=request.end_limit_override,
        )
        user = await self._admin.change_user(request.user_id, change, actor_id=caller.user_id)
        return pb.UpdateAnyUserResponse(user=self._to_proto(user))

    async def ListPlans(self, request: pb.ListPlansRequest, context: Context) -> pb.ListPlansResponse:
        """List plans."""
        await self._admin.authorize(current_caller(), "ListPlans")
        plans, has_more = await self._admin.list_plans(mapping.page_from_proto(request.page))
        return pb.ListPlansResponse(plans=map(mapping.plan_to_proto, plans), has_more=has_more)

    async def PutPlan(self, request: pb.PutPlanRequest, context: Context) -> pb.PutPlanResponse:
        """Create a plan, or replace its limits."""
        await self._admin.authorize(current_caller(), "PutPlan", is_read=False)
        plan = mapping.plan_from_proto(request.plan)
        await self._admin.put_plan(plan)
        return pb.PutPlanResponse(plan=mapping.plan_to_proto(plan))

    async def DeletePlan(self, request: pb.DeletePlanRequest, context: Context) -> pb.DeletePlanResponse:
        """Delete a plan."""
        await self._admin.authorize(current_caller(), "DeletePlan", is_read=False)
        await self._admin.delete_plan(request.plan)
        return pb.DeletePlanResponse()

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, context: Context) -> pb.ListAuditEventsResponse:
        """List audit events."""
        await self._admin.authorize(current_caller(), "ListAuditEvents", user_id=request.user_id)
        which = AuditFilter(
            user_id=request.user_id,
            event=request.event,
            start=mapping.optional_moment(request, "start_time"),
            end=mapping.optional_moment(request, "end_time"),
        )
        events, has_more = await self._admin.list_audit_events(which, mapping.page_from_proto(request.page))
        return pb.ListAuditEventsResponse(audit_events=map(mapping.audit_event_to_proto, events), has_more=has_more)

    async def ListAllUsage(self, request: pb.ListAllUsageRequest, context: Context) -> pb.ListAllUsageResponse:
        """List what all users used, or one of them."""
        await self._admin.authorize(current_caller(), "ListAllUsage", user_id=request.user_id)
        buckets = await self._admin.list_usage(
            user_id=request.user_id,
            start=mapping.optional_moment(request, "start_time") or _BEGINNING,
            end=mapping.optional_moment(request, "end_time"),
        )
        return pb.ListAllUsageResponse(buckets=map(mapping.bucket_to_proto, buckets))

    def _to_proto(self, user: User) -> user_pb2.User:
        return mapping.user_to_proto(user, now=self._clock())
