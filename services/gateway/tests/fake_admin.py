"""An administration that keeps everything in memory."""

from rostra.common.v1.caller_pb2 import Role
from rostra.common.v1.error_reason_pb2 import ErrorReason
from rostra.user.v1 import admin_service_pb2 as pb
from rostra.user.v1 import audit_event_pb2, plan_pb2, usage_pb2
from rostra.user.v1.admin_service_pb2_grpc import AdminServiceServicer
from rostra_kit.context import current_caller, current_request
from rostra_kit.errors import NotFoundError
from services.gateway.tests.fake_user import FakeUserService


class FakeAdminService(AdminServiceServicer):
    """Sees the accounts of the user service; tests look at what was asked."""

    def __init__(self, user: FakeUserService) -> None:
        self._user = user
        self.plans: dict[str, plan_pb2.Plan] = {"default": plan_pb2.Plan(name="default")}
        self.asked: list[object] = []
        self.addresses: set[str] = set()

    def add_admin(self) -> str:
        """Add an administrator and return an API key of theirs."""
        user_id = self._user.add_user("root@example.com")
        self._user.users[user_id].role = Role.ROLE_ADMIN
        return self._user.add_key(user_id)

    async def ListUsers(self, request, context):
        self._note(request)
        found = [user for user in self._user.users.values() if user.email.startswith(request.email_prefix)]
        return pb.ListUsersResponse(users=found)

    async def GetAnyUser(self, request, context):
        self._note(request)
        return pb.GetAnyUserResponse(user=self._find(request.user_id))

    async def UpdateAnyUser(self, request, context):
        self._note(request)
        user = self._find(request.user_id)
        user.role = request.role or user.role
        user.plan = request.plan or user.plan
        user.disabled = request.disabled
        if request.HasField("limit_override"):
            user.limit_override.CopyFrom(request.limit_override)
        elif request.end_limit_override:
            user.ClearField("limit_override")
        return pb.UpdateAnyUserResponse(user=user)

    async def ListPlans(self, request, context):
        self._note(request)
        return pb.ListPlansResponse(plans=self.plans.values())

    async def PutPlan(self, request, context):
        self._note(request)
        self.plans[request.plan.name] = request.plan
        return pb.PutPlanResponse(plan=request.plan)

    async def DeletePlan(self, request, context):
        self._note(request)
        if self.plans.pop(request.plan, None) is None:
            raise NotFoundError("No such plan.", reason=ErrorReason.ERROR_REASON_PLAN_NOT_FOUND)
        return pb.DeletePlanResponse()

    async def ListAuditEvents(self, request, context):
        self._note(request)
        event = audit_event_pb2.AuditEvent(
            id="audit_1", event="login_failed", outcome="refused", email_sha256=b"\1" * 32, address="192.0.2.1"
        )
        return pb.ListAuditEventsResponse(audit_events=[event], has_more=True)

    async def ListAllUsage(self, request, context):
        self._note(request)
        return pb.ListAllUsageResponse(buckets=[usage_pb2.UsageBucket(model="echo", requests=2, cost_micros=1500)])

    def _note(self, request: object) -> None:
        assert current_caller().role == Role.ROLE_ADMIN
        self.asked.append(request)
        self.addresses.add(current_request().address)

    def _find(self, user_id):
        user = self._user.users.get(user_id)
        if user is None:
            raise NotFoundError("No such user.", reason=ErrorReason.ERROR_REASON_USER_NOT_FOUND)
        return user
