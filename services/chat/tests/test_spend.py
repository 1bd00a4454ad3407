"""What was spent is the user service's to say."""

from functools import partial

import pytest

from rostra.user.v1 import user_service_pb2 as pb
from rostra.user.v1.user_service_pb2_grpc import UserServiceServicer, UserServiceStub, add_UserServiceServicer_to_server
from rostra_chat.spend import Spend
from rostra_kit.client import ServiceClient
from rostra_kit.context import current_caller
from rostra_kit.errors import UnavailableError
from rostra_kit.settings import ServiceAddress
from rostra_kit.testing.grpc import call_as, grpc_client

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["UserService"]


class Ledger(UserServiceServicer):
    """Knows what one user spent in one month."""

    async def GetSpend(self, request, context):
        assert (current_caller().user_id, request.month) == ("user_1", "2026-11")
        return pb.GetSpendResponse(cost_micros=42)


async def test_spend_is_asked_for_the_caller_and_the_month() -> None:
    call_as("user_1")
    async with grpc_client(UserServiceStub, DESCRIPTOR, partial(add_UserServiceServicer_to_server, Ledger())) as user:
        assert await Spend(user).of_month("2026-11", "") == 42


async def test_absent_user_service_is_said() -> None:
    call_as("user_1")
    async with ServiceClient(UserServiceStub, DESCRIPTOR, ServiceAddress(target="127.0.0.1:1")) as user:
        with pytest.raises(UnavailableError):
            await Spend(user).of_month("2026-11", "")
