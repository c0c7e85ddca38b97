"""Settings of pushes that are refused at the start, with the name of the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.errors import StartRefused
from ringback.http2.dial import read_proxy
from ringback.settings import load_settings
from ringback.testing import Authority


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RINGBACK_PUSH_CA_FILE", "/nowhere/ca.pem"),
        ("RINGBACK_PUSH_CA_FILE", __file__),
        ("RINGBACK_PUSH_PROXY", "https://proxy.example:3128"),
        ("RINGBACK_PUSH_PROXY", "http://proxy.example"),
        ("RINGBACK_PUSH_PROXY", "http://proxy.example:3128/path"),
        ("RINGBACK_APNS_URL", "http://api.push.apple.com"),
        ("RINGBACK_APNS_SANDBOX_URL", "api.sandbox.push.apple.com"),
        ("RINGBACK_FCM_URL", "ftp://fcm.googleapis.com"),
        ("RINGBACK_FCM_TOKEN_URL", "https://"),
        ("RINGBACK_PUSH_HTTP2", "httpx"),
    ],
)
def test_refused_at_the_start(name: str, value: str) -> None:
    with pytest.raises(StartRefused, match=f"{name}|{name.removeprefix('RINGBACK_').lower()}"):
        load_settings({name: value})


def test_certificates_that_are_some(tmp_path: Path) -> None:
    settings, _ = load_settings({"RINGBACK_PUSH_CA_FILE": str(Authority(tmp_path).file)})
    assert settings.push_ca_file.endswith("ca.pem")


@pytest.mark.parametrize("proxy", ["http://proxy.example:3128", "http://[2001:db8::1]:3128/"])
def test_a_proxy_that_can_be_used(proxy: str) -> None:
    settings, _ = load_settings({"RINGBACK_PUSH_PROXY": proxy})
    assert read_proxy(settings.push_proxy).port == 3128
