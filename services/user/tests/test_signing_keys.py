import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rostra_user.signing_keys import SigningKeyError, SigningKeys, create_first_key

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def write_key(directory: Path, kid: str, key=None) -> None:
    pem = (key or Ed25519PrivateKey.generate()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / f"{kid}.pem").write_bytes(pem)


def test_last_key_by_name_signs_and_all_are_there(tmp_path: Path) -> None:
    write_key(tmp_path, "2026-02")
    write_key(tmp_path, "2026-01")
    ring = SigningKeys(tmp_path).ring
    assert ring.signing_kid == "2026-02"
    assert sorted(ring.keys) == ["2026-01", "2026-02"]


async def test_added_key_is_published_at_once_and_signs_one_reload_later(tmp_path: Path) -> None:
    write_key(tmp_path, "1")
    keys = SigningKeys(tmp_path)
    write_key(tmp_path, "2")
    await keys.reload()
    assert (sorted(keys.ring.keys), keys.ring.signing_kid) == (["1", "2"], "1")
    await keys.reload()
    assert keys.ring.signing_kid == "2"


async def test_removed_key_is_gone_after_a_reload(tmp_path: Path) -> None:
    write_key(tmp_path, "1")
    write_key(tmp_path, "2")
    keys = SigningKeys(tmp_path)
    (tmp_path / "2.pem").unlink()
    await keys.reload()
    assert (list(keys.ring.keys), keys.ring.signing_kid) == (["1"], "1")


async def test_unusable_folder_keeps_the_present_keys(tmp_path: Path) -> None:
    write_key(tmp_path, "1")
    keys = SigningKeys(tmp_path)
    (tmp_path / "2.pem").write_text("half a fi")
    with pytest.raises(SigningKeyError, match=r"2\.pem"):
        await keys.reload()
    assert list(keys.ring.keys) == ["1"]


def test_folder_without_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match=r"no <kid>\.pem"):
        SigningKeys(tmp_path)


@pytest.mark.parametrize(("kid", "key"), [("1", X25519PrivateKey.generate()), ("with space", None)])
def test_other_key_or_odd_name_is_refused(tmp_path: Path, kid: str, key) -> None:
    write_key(tmp_path, kid, key)
    with pytest.raises(SigningKeyError, match=kid):
        SigningKeys(tmp_path)


def test_first_key_is_private_and_signs(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    create_first_key(directory, NOW)
    assert stat.S_IMODE((directory / "2026-11-20T12-30-00Z.pem").stat().st_mode) == 0o600
    ring = SigningKeys(directory).ring
    token = jwt.encode({"sub": "me"}, ring.signing_key, algorithm="EdDSA")
    assert jwt.decode(token, ring.signing_key.public_key(), algorithms=["EdDSA"]) == {"sub": "me"}


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    moments = [NOW.replace(second=second) for second in range(10)]
    with ThreadPoolExecutor(len(moments)) as threads:
        list(threads.map(partial(create_first_key, tmp_path), moments))
    assert len(list(tmp_path.iterdir())) == 1
