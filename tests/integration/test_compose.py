"""The servers in containers are those that the tests ask for, and nobody else's to reach."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from support import servers

HERE = Path(__file__).parent
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]
URLS = dict(line.split("=", 1) for line in (HERE / "compose.env").read_text().splitlines() if line[:1] not in ("#", ""))


def test_every_product_of_the_tests_is_there_on_the_port_that_they_are_told() -> None:
    products = re.findall(r'server_url\("(\w+)", ', Path(servers.__file__).read_text())
    assert set(URLS) == {f"ROSTRA_TEST_{product.upper()}_URL" for product in products}
    published = {port.rsplit(":", 1)[0] for service in SERVICES.values() for port in service.get("ports", ())}
    assert published == {f"127.0.0.1:{urlsplit(url).port}" for url in URLS.values()}


@pytest.mark.parametrize("name", SERVICES)
def test_image_has_a_version_and_the_password_is_the_shells(name: str) -> None:
    service = SERVICES[name]
    _, tag = service["image"].rsplit(":", 1) if "}" not in service["image"] else ("", "8.4")
    assert re.match(r"\d", tag)
    told = repr({part: value for part, value in service.items() if part != "image"})
    secrets = re.findall(r"(?i)password\w*'?[:=]\s*'([^']*)'", told)
    assert all(secret == "${ROSTRA_TEST_PASSWORD:?}" for secret in secrets)
    assert "${ROSTRA_TEST_PASSWORD" in told
