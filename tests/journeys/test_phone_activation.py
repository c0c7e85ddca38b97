"""`ringback phone activate` with an OTP, and with a recovery code, against a server in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.journeys.conftest import NewServer
from tests.journeys.processes import refused


def test_a_phone_is_activated_with_an_otp_and_replaced_by_its_recovery_code(
    new_server: NewServer, tmp_path: Path
) -> None:
    server = new_server(activation_validity_seconds="3600")
    server.start()
    bank = server.furnish()
    recovery = {"key": "recovery", "values": {"enabled": True}}
    server.call("POST", "/powerauth-cloud/admin/applications/bank/config", recovery, bank.admin)
    body = {"userId": "jan", "appId": "bank", "otp": "123456", "otpValidation": "ON_KEY_EXCHANGE"}
    created = server.call("POST", "/powerauth-cloud/v2/registrations", body, bank.integration)

    def arguments(name: str, *more: str) -> list[str]:
        where = ["--url", server.public, "--config", bank.app["mobileSdkConfig"], "--state", str(tmp_path / name)]
        return ["phone", "activate", "--pin", "1234", *where, *more]

    code = created["activationCode"]
    assert "does not take this activation code" in refused(server, *arguments("first", code, "--otp", "654321"))
    first = json.loads(server.cli(*arguments("first", code, "--otp", "123456", "--json")).stdout)
    assert first["activationId"] == created["registrationId"]
    written_down: dict[str, Any] = first["recovery"]

    given = ["--recovery", written_down["recoveryCode"], "--puk"]
    wrong = str(9_999_999_999 - int(written_down["puk"])).zfill(10)
    assert "It is the turn of PUK number 1." in refused(server, *arguments("second", *given, wrong))
    assert "not genuine" in refused(server, *arguments("second", *given, "12"))
    second = server.cli(*arguments("second", *given, written_down["puk"], "--protocol", "3.1"))
    words = dict(line.split(maxsplit=1) for line in second.stdout.splitlines())
    assert set(words) == {"activation", "fingerprint", "recovery", "PUK"}
    assert second.stderr == "Write down the recovery code and the PUK: they are not shown again.\n"
    assert "REMOVED" in server.cli("phone", "status", "--state", str(tmp_path / "first")).stdout
    assert "ACTIVE" in server.cli("phone", "status", "--state", str(tmp_path / "second")).stdout

    for choice in ((), ("--puk", "0123456789"), ("--recovery", "A"), (code, "--recovery", "A", "--puk", "1")):
        assert server.cli(*arguments("third", *choice), check=False).returncode == 2
    assert server.stop() == 0
