"""The phone opens its vault, signs with its own key, is renamed, and is told about its user: by code and by command."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from ringback.cli import ringback
from ringback.protocols.powerauth.keys import public_key_from_bytes, verify_der
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS
from ringback.softphone import (
    POSSESSION,
    FactorsRefused,
    MacTokenRefused,
    MemoryState,
    Phone,
    RefusedByServer,
    ServerNotGenuine,
    SignatureRefused,
    StateFile,
    Unlock,
)
from ringback.softphone.state import StateKeeper
from ringback.softphone.vault import REASONS
from tests.served import Served

PIN = Unlock(pin="1357")
BIOMETRY = Unlock(biometry=True)


async def enrolled(served: Served, keeper: StateKeeper, version: str = "3.3") -> Phone:
    content = {"userId": "alice", "appId": "bank"}
    created = (await served.call("POST", "/powerauth-cloud/v2/registrations", content)).body
    phone = Phone(keeper, session=served.session)
    config, code = served.app["mobileSdkConfig"], created["activationQrCodeData"]
    await phone.activate(served.public, config, code, name="x", pin="1357", version=version)
    await served.call("POST", f"/powerauth-cloud/v2/registrations/{created['registrationId']}/commit", {})
    return phone


async def test_a_phone_of_every_version_opens_its_vault_and_signs_with_its_own_key(served: Served) -> None:
    for version in PROTOCOL_VERSIONS:
        phone = await enrolled(served, MemoryState(), version)
        keys = {await phone.unlock_vault(reason, PIN) for reason in REASONS}
        assert len(keys) == 1
        signature = await phone.sign_with_device_key(b"contract", PIN)
        public_key = public_key_from_bytes(phone.state.device_public_key)
        assert verify_der(public_key, signature, b"contract")
        assert not verify_der(public_key, signature, b"contracts")


async def test_a_vault_stays_shut(served_sqlite: Served) -> None:
    phone = await enrolled(served_sqlite, MemoryState())
    for unlock in (POSSESSION, BIOMETRY):
        with pytest.raises(FactorsRefused):
            await phone.unlock_vault("ADD_BIOMETRY", unlock)
    with pytest.raises(SignatureRefused):
        await phone.unlock_vault("ADD_BIOMETRY", Unlock(pin="0000"))
    with pytest.raises(RefusedByServer, match="ERR_SECURE_VAULT"):
        await phone.unlock_vault("CURIOSITY", PIN)


async def test_another_phones_sealed_key_is_noticed(served_sqlite: Served) -> None:
    phone, other = [await enrolled(served_sqlite, MemoryState()) for _ in range(2)]
    sealed = other.state.device_private_key_sealed
    phone._keeper.save(msgspec.structs.replace(phone.state, device_private_key_sealed=sealed))
    with pytest.raises(ServerNotGenuine):
        await phone.sign_with_device_key(b"contract", PIN)


async def test_a_phone_of_every_version_is_renamed_and_told_about_its_user(served: Served) -> None:
    for version in PROTOCOL_VERSIONS:
        phone = await enrolled(served, MemoryState(), version)
        detail = await phone.detail(PIN)
        assert (detail.activation_id, detail.activation_name) == (phone.state.activation_id, "x")
        assert (await phone.rename("Alice's phone", BIOMETRY)).activation_name == "Alice's phone"
        assert (await phone.detail(BIOMETRY)).activation_name == "Alice's phone"
        assert phone.state.activation_name == "Alice's phone"
        with pytest.raises(FactorsRefused):
            await phone.detail(POSSESSION)
        assert await phone.list_operations() == []
        assert (await phone.user_info())["sub"] == "alice"
        assert (await phone.status()).counters == "in step"


async def test_a_blocked_phone_is_told_that_its_mac_token_does_not_work(served_sqlite: Served) -> None:
    phone = await enrolled(served_sqlite, MemoryState())
    await phone.list_operations()
    path = f"/powerauth-cloud/v2/registrations/{phone.state.activation_id}"
    await served_sqlite.call("PUT", path, {"change": "BLOCK"})
    with pytest.raises(MacTokenRefused, match="INVALID_ACTIVATION"):
        await phone.list_operations()


async def command(*words: str, state: Path) -> str:
    arguments = ["phone", *words, "--state", str(state)]
    result = await asyncio.to_thread(CliRunner().invoke, ringback, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_commands(served_sqlite: Served, tmp_path: Path) -> None:
    state = tmp_path / "phone.json"
    phone = await enrolled(served_sqlite, StateFile(state), "3.1")
    claims: dict[str, Any] = {"claims": {"name": "Alice"}}
    assert (await served_sqlite.call("PUT", "/api/v1/apps/bank/users/alice/claims", claims)).status == 200
    assert await command("vault", "--pin", "1357", state=state) == "The vault opens.\n"
    assert json.loads(await command("vault", "--pin", "1357", "--json", state=state)) == {"unlocked": True}
    signature = base64.b64decode(await command("vault", "contract", "--pin", "1357", state=state))
    assert verify_der(public_key_from_bytes(phone.state.device_public_key), signature, b"contract")
    assert await command("rename", "Mine", "--biometry", state=state) == "This phone is now called Mine.\n"
    shown = dict(line.split(maxsplit=1) for line in (await command("info", state=state)).splitlines())
    assert (shown["name"], shown["sub"], set(shown)) == ("Alice", "alice", {"name", "sub", "jti", "iat"})
    assert json.loads(await command("info", "--json", state=state))["name"] == "Alice"
    assert "Mine" in await command("status", state=state)
