"""`ringback push credential`, on an installation that nobody serves: a developer has files and a terminal."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding

from ringback.cli.push_credential import credential
from ringback.errors import RingbackError
from ringback.installation import open_installation
from ringback.principal import Principal
from ringback.server import wire
from ringback.settings import load_settings
from tests.apps.push_files import (
    BUNDLE_ID,
    certificate,
    certificate_pem,
    fcm_form,
    p12_of,
    p256,
    pem,
    rsa_key,
)


@pytest.fixture
def folder(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a developer, and an installation with the app `bank`."""
    assert not sqlite_url
    monkeypatch.setenv("RINGBACK_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "AuthKey_73Q8JZND1V.p8").write_bytes(pem(p256()))
    (tmp_path / "cert.pem").write_bytes(certificate_pem(certificate()))
    (tmp_path / "aps.cer").write_bytes(certificate().public_bytes(Encoding.DER))
    (tmp_path / "encrypted.pem").write_bytes(pem(rsa_key(), b"secret"))
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    (tmp_path / "push.p12").write_bytes(base64.b64decode(p12_of(certificate(), rsa_key())))
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "account.json").write_bytes(base64.b64decode(fcm_form()["serviceAccount"]))

    async def make_app() -> None:
        settings, _ = load_settings()
        async with open_installation(settings) as installation:
            await installation.store.write(wire(installation).apps.create, Principal("cli", "test"), "bank", [])

    asyncio.run(make_app())
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(credential, arguments, catch_exceptions=True)


APNS = ("add", "bank", "--apns", "AuthKey_73Q8JZND1V.p8", "--team-id", "D7A3215KHV", "--bundle-id", BUNDLE_ID)


@pytest.mark.usefixtures("folder")
def test_each_form_is_added_listed_and_cleared() -> None:
    assert "has no push credentials" in run("list", "bank").stderr
    added = run(*APNS)
    assert added.exit_code == 0
    assert "key id       73Q8JZND1V" in added.output
    for form in (
        ("--certificate", "cert.pem", "--key", "key.pem"),
        ("--certificate", "aps.cer", "--key", "encrypted.pem", "--password-file", "password"),
        ("--p12", "push.p12", "--password-file", "password"),
        ("--fcm", "account.json"),
        ("--webpush", "mailto:push@example.com"),
    ):
        assert run("add", "bank", *form).exit_code == 0, form
    shown = [json.loads(line) for line in run("list", "bank", "--json").output.splitlines()]
    assert [(one["kind"], one["form"]) for one in shown] == [
        ("apns", "certificate"),
        ("fcm", "serviceAccount"),
        ("webpush", "vapid"),
    ]
    text = run("list", "bank").output
    assert f"topics       {BUNDLE_ID}" in text
    assert "expires      2" in text
    assert "PRIVATE" not in text
    assert run("clear", "bank", "apns").exit_code == 0
    assert "apns" not in run("list", "bank").output
    assert run("clear", "bank").exit_code == 0
    assert run("list", "bank", "--json").output == ""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "bank"), "Give one of"),
        (("add", "bank", "--fcm", "account.json", "--webpush", "mailto:a@b"), "Give one of"),
        (("add", "bank", "--apns", "AuthKey_73Q8JZND1V.p8"), "--apns needs --team-id"),
        (("add", "bank", "--apns", "key.pem", "--team-id", "D7A3215KHV", "--bundle-id", BUNDLE_ID), "needs --key-id"),
        (("add", "bank", "--fcm", "nothing.json"), "does not exist"),
        (("clear", "bank", "hms"), "hms"),
    ],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...], sentence: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "bank", "--fcm", "key.pem"), "serviceAccount"),
        (("add", "bank", "--p12", "push.p12"), "password"),
        (("add", "bank", "--certificate", "cert.pem"), "certificate"),
        (("add", "bank", "--certificate", "cert.pem", "--key", "encrypted.pem"), "password"),
        (("add", "none", "--webpush", "mailto:a@b"), "no such application"),
        (("try", "bank", "fcm"), "no push credential"),
        (("clear", "bank", "fcm"), "no push credential"),
    ],
)
def test_a_refusal_is_the_sentence_of_the_server(arguments: tuple[str, ...], sentence: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, RingbackError)
    assert sentence in error.message


@pytest.mark.usefixtures("folder")
def test_a_provider_that_cannot_be_reached_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APNS_URL", "APNS_SANDBOX_URL"):
        monkeypatch.setenv(f"RINGBACK_{name}", "https://127.0.0.1:9")
    assert run(*APNS).exit_code == 0
    tried = run("try", "bank", "apns")
    assert (tried.exit_code, tried.output.split()[0]) == (1, "unknown")
    shown = json.loads(run("try", "bank", "apns", "--json").output)
    assert shown["accepted"] is None
    assert shown["credential"]["status"] == "OK"
