"""The settings of the way out are checked before anything starts."""

from __future__ import annotations

import pytest

from ringback.errors import StartRefused
from ringback.settings import load_settings
from ringback.settings_checks import parse_networks, parse_ports


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EGRESS_ALLOW", "10.0.0.1/8"),
        ("EGRESS_ALLOW", "intranet.example.com"),
        ("EGRESS_PORTS", "https"),
        ("EGRESS_PORTS", "0"),
        ("EGRESS_PORTS", "443,65536"),
        ("EGRESS_PORTS", "443 8443"),
        ("EGRESS_PROXY", "https://proxy.example.com:3128"),
        ("EGRESS_PROXY", "proxy.example.com:3128"),
        ("EGRESS_PROXY", "http://user:secret@proxy.example.com:3128"),
        ("OIDC_ISSUER", "https://login.example.com/"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(StartRefused, match=f"RINGBACK_{name}"):
        load_settings({f"RINGBACK_{name}": value})


def test_right_settings_are_taken() -> None:
    settings, _ = load_settings(
        {
            "RINGBACK_EGRESS_ALLOW": "10.0.0.0/8, ::1, 192.0.2.7",
            "RINGBACK_EGRESS_PORTS": "443, 8443",
            "RINGBACK_EGRESS_PROXY": "http://proxy.example.com:3128",
            "RINGBACK_OIDC_ISSUER": "https://login.example.com/",
            "RINGBACK_OIDC_AUDIENCE": "https://ringback.example.com",
        }
    )
    assert [str(one) for one in parse_networks(settings.egress_allow)] == ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]
    assert parse_ports("RINGBACK_EGRESS_PORTS", settings.egress_ports) == [443, 8443]
