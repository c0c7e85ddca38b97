"""Settings of SIP that cannot work are refused when the server starts, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.errors import StartRefused
from ringback.settings import load_settings
from ringback.testing.certificates import Authority


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RINGBACK_SIP_LISTEN", "5070"),
        ("RINGBACK_SIP_TLS_LISTEN", "127.0.0.1"),
        ("RINGBACK_SIP_RTP_LISTEN", "127.0.0.1:x"),
        ("RINGBACK_SIP_MODE", "proxy"),
        ("RINGBACK_SIP_PROXIES", "proxy.example.com"),
        ("RINGBACK_SIP_CA_FILE", "/nowhere/ca.pem"),
        ("RINGBACK_SIP_CA_FILE", __file__),
        ("RINGBACK_SIP_DEFLECT_STATUS", "301"),
        ("RINGBACK_SIP_DEFLECT_STATUS", "404"),
        ("RINGBACK_SIP_DEFLECT_PORT", "70000"),
        ("RINGBACK_SIP_WITHOUT_SUBSCRIPTION", "maybe"),
        ("RINGBACK_SIP_MAX_CALLS", "0"),
        ("RINGBACK_SIP_MIN_EXPIRES", "3601"),
        ("RINGBACK_WAKE_SECONDS", "0"),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: str) -> None:
    with pytest.raises(StartRefused, match=name):
        load_settings({name: value})


def test_tls_needs_a_certificate() -> None:
    with pytest.raises(StartRefused, match="RINGBACK_TLS_CERTIFICATE"):
        load_settings({"RINGBACK_SIP_TLS_LISTEN": "127.0.0.1:5071"})


def test_an_application_server_says_whose_calls_it_takes() -> None:
    behind = {"RINGBACK_SIP_LISTEN": "127.0.0.1:5070", "RINGBACK_SIP_MODE": "application-server"}
    with pytest.raises(StartRefused, match="RINGBACK_SIP_PROXIES"):
        load_settings(behind)
    settings, _ = load_settings({**behind, "RINGBACK_SIP_PROXIES": "192.0.2.0/24, 2001:db8::5"})
    assert settings.speaks_sip


def test_a_proxy_over_tls_may_have_a_certificate_of_its_own_authority(tmp_path: Path) -> None:
    file = str(Authority(tmp_path).file)
    settings, _ = load_settings({"RINGBACK_SIP_CA_FILE": file})
    assert settings.sip_ca_file == file
