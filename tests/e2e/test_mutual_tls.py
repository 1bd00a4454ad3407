"""The whole stack with mutual TLS between its services."""

from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.service_authority import SERVER_NAME, Authority
from support.stack import own_stack, register

pytestmark = pytest.mark.e2e

_CALLS = {"GATEWAY": ("USER", "CHAT", "HISTORY"), "CHAT": ("USER", "HISTORY"), "USER": ("HISTORY",)}


def _environment(authority: Authority) -> dict[str, str]:
    environment = {}
    for service in ("user", "chat", "history"):
        certificate, key = authority.issue(service)
        files = {"CERT_FILE": certificate, "KEY_FILE": key, "CLIENT_CA_FILE": authority.ca_file}
        environment |= {f"ROSTRA_{service.upper()}_LISTEN__TLS__{name}": str(path) for name, path in files.items()}
    for service, called in _CALLS.items():
        certificate, key = authority.issue(f"{service}-client")
        files = {"CERT_FILE": certificate, "KEY_FILE": key, "CA_FILE": authority.ca_file, "SERVER_NAME": SERVER_NAME}
        for each in called:
            environment |= {f"ROSTRA_{service}_{each}__TLS__{name}": str(value) for name, value in files.items()}
    return environment


async def test_stack_answers_by_mutual_tls_and_nobody_enters_without(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    async with own_stack(tmp_path / "data", environment=_environment(authority)) as stack:
        account = register(stack.gateway_urls[0])
        async with httpx.AsyncClient(base_url=stack.gateway_urls[0], headers=account.key, timeout=30) as http:
            answer = await http.post("/v1/responses", json={"model": "echo", "input": "Hi"})
            assert answer.status_code == 200, answer.text
            assert (await http.get(f"/v1/responses/{answer.json()['id']}")).status_code == 200
        for name in ("user", "chat", "history"):
            plan = stack.children[name].plan
            assert await _health(plan.probe_address) == health_pb2.HealthCheckResponse.SERVING
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await _health(plan.address)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def _health(address: str) -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        return answer.status
