"""What a phone says about itself in the User-Agent header field.

The PowerAuth SDKs send `PowerAuthNetworking/1.1.7 (en; cellular) com.example.app/2.0.0 (Apple; iOS/16.6.1; iphone12)`:
the networking library with language and connection, then the app with maker, system and model.
"""

from __future__ import annotations

import re

import msgspec

_PRODUCT = r"([^\s/()]+)/([^\s/()]+)"
_FULL = re.compile(
    rf"{_PRODUCT} \(([^;()]*); ?([^;()]*)\) {_PRODUCT} \(([^;()]*); ?([^;()/]*)/([^;()]*); ?([^;()]*)\)", re.ASCII
)
_SHORT = re.compile(r"PowerAuth\w*/([^\s/()]+) \((iOS|iPadOS|Android|HarmonyOS)[ /]([^;()]*)(?:;[^()]*)?\)", re.ASCII)


class Device(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The parts of the header field that were recognised."""

    network_version: str
    language: str | None = None
    connection: str | None = None
    product: str | None = None
    version: str | None = None
    platform: str | None = None
    os: str | None = None
    os_version: str | None = None
    model: str | None = None


def parse_user_agent(text: str) -> Device | None:
    """The device, or None when the header field is not one of an SDK."""
    if full := _FULL.fullmatch(text.strip()):
        _, network_version, language, connection, product, version, platform, system, system_version, model = (
            full.groups()
        )
        return Device(network_version, language, connection, product, version, platform, system, system_version, model)
    if short := _SHORT.match(text.strip()):
        return Device(short.group(1), os=short.group(2), os_version=short.group(3))
    return None
