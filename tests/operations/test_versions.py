"""All that a phone does with operations, in every protocol version. Over HTTP."""

from __future__ import annotations

import pytest

from ringback.protocols.powerauth.operation_link import OperationLink, build_jwt
from ringback.protocols.powerauth.versions import PROTOCOL_VERSIONS
from ringback.softphone import OperationUnknown
from tests.operations.journey import BIOMETRY, KNOWLEDGE, OPERATIONS, Journey


@pytest.mark.parametrize("version", list(PROTOCOL_VERSIONS))
async def test_from_claim_to_history(journey: Journey, version: str) -> None:
    async with await journey.phone("alice", version=version) as phone, await journey.phone("bob") as bob:
        near = await journey.ask()
        await phone.approve_link(build_jwt(OperationLink(near["operationId"], near["proximityOtp"])), BIOMETRY)
        with pytest.raises(OperationUnknown):
            await bob.claim(near["operationId"])
        offline = await journey.ask(registrationId=phone.state.activation_id)
        path = f"{OPERATIONS}/{offline['operationId']}/offline"
        made = (await journey.served.call("GET", f"{path}/qr?registrationId={phone.state.activation_id}")).body
        code = phone.answer_offline(made["operationQrCodeData"], KNOWLEDGE).grouped
        body = {"otp": code, "nonce": made["nonce"], "registrationId": phone.state.activation_id}
        assert (await journey.served.call("POST", f"{path}/otp", body)).body["otpValid"] is True
        online = await journey.ask(userId="alice")
        assert [one.id for one in await phone.list_operations()] == [online["operationId"]]
        await phone.approve(online["operationId"], KNOWLEDGE)
        shown = await phone.operation_history(BIOMETRY)
        assert [(one.id, one.status) for one in shown] == [
            (one["operationId"], "APPROVED") for one in (online, offline, near)
        ]
        assert (await phone.status()).counters == "in step"
