"""What types cannot say about settings: addresses, networks, URLs, files, and what goes together."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ringback.errors import StartRefused

if TYPE_CHECKING:
    from ringback.settings import Settings

MAX_PORT = 65_535
_LISTEN = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5})")


def parse_listen(name: str, value: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPV6]:PORT` as a pair; port 0 lets the machine choose. Raises StartRefused with the name."""
    found = _LISTEN.fullmatch(value)
    if found is None or int(found["port"]) > MAX_PORT:
        raise StartRefused(f"{name} must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080, not {value!r}.")
    return found["host"].strip("[]"), int(found["port"])


def parse_networks(
    text: str, name: str = "RINGBACK_TRUSTED_PROXIES"
) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """A comma list of addresses and networks. Raises StartRefused with the name."""
    networks = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError as error:
            raise StartRefused(f"{name}: {part!r} is not an address or network.") from error
    return networks


def parse_ports(name: str, text: str) -> list[int]:
    """A comma list of ports. Raises StartRefused with the name."""
    ports = [part.strip() for part in text.split(",") if part.strip()]
    if not all(port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT for port in ports):
        raise StartRefused(f"{name} must be a comma list of ports, such as 443,8443, not {text!r}.")
    return [int(port) for port in ports]


def check(settings: Settings) -> None:
    """Raises StartRefused in one sentence that names the setting."""
    parse_listen("RINGBACK_PUBLIC_LISTEN", settings.public_listen)
    parse_listen("RINGBACK_INTERNAL_LISTEN", settings.internal_listen)
    parse_networks(settings.trusted_proxies)
    _check_outside(settings)
    if settings.public_url and not _is_base_url(settings.public_url):
        raise StartRefused(
            f"RINGBACK_PUBLIC_URL must be a URL such as https://phones.example.com, not {settings.public_url!r}."
        )
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise StartRefused("RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY go together: set both or none.")
    if settings.database_url and not settings.database_url.startswith(("postgresql://", "postgres://")):
        raise StartRefused("RINGBACK_DATABASE_URL must start with postgresql://, or be empty for SQLite.")
    if settings.workers > 1 and not settings.database_url:
        raise StartRefused("More than one worker needs PostgreSQL (RINGBACK_DATABASE_URL): SQLite has one process.")


def _check_sip(settings: Settings) -> None:
    for name in ("sip_listen", "sip_tls_listen", "sip_rtp_listen"):
        if value := getattr(settings, name):
            parse_listen(f"RINGBACK_{name.upper()}", value)
    parse_networks(settings.sip_proxies, "RINGBACK_SIP_PROXIES")
    if settings.sip_tls_listen and not settings.tls_certificate:
        raise StartRefused("RINGBACK_SIP_TLS_LISTEN needs RINGBACK_TLS_CERTIFICATE and RINGBACK_TLS_KEY.")
    if settings.sip_deflect_status not in {300, 302}:
        raise StartRefused("RINGBACK_SIP_DEFLECT_STATUS must be 302 or 300.")
    if settings.sip_ca_file:
        _check_certificates("RINGBACK_SIP_CA_FILE", settings.sip_ca_file)
    if settings.sip_min_expires > settings.sip_max_expires:
        raise StartRefused("RINGBACK_SIP_MIN_EXPIRES is longer than RINGBACK_SIP_MAX_EXPIRES.")
    if settings.speaks_sip and settings.sip_mode == "application-server" and not settings.sip_proxies:
        raise StartRefused("RINGBACK_SIP_MODE is application-server: RINGBACK_SIP_PROXIES says whose calls are taken.")


def _check_outside(settings: Settings) -> None:
    _check_sip(settings)
    _check_push(settings)
    parse_networks(settings.egress_allow, "RINGBACK_EGRESS_ALLOW")
    parse_ports("RINGBACK_EGRESS_PORTS", settings.egress_ports)
    proxy = settings.egress_proxy
    if proxy and not (proxy.startswith("http://") and _is_base_url(proxy)):
        raise StartRefused(f"RINGBACK_EGRESS_PROXY must be http://HOST:PORT, not {proxy!r}.")
    if settings.oidc_issuer and not settings.oidc_audience:
        raise StartRefused("RINGBACK_OIDC_ISSUER needs RINGBACK_OIDC_AUDIENCE: the audience of the access tokens.")


def _check_push(settings: Settings) -> None:
    for name in ("apns_url", "apns_sandbox_url", "fcm_url", "fcm_token_url"):
        url = getattr(settings, name)
        if not url.startswith("https://") or not _is_base_url(url):
            raise StartRefused(f"RINGBACK_{name.upper()} must be a URL such as https://push.example.com, not {url!r}.")
    proxy = settings.push_proxy
    if proxy and not _is_proxy(proxy):
        raise StartRefused(f"RINGBACK_PUSH_PROXY must be http://HOST:PORT, not {proxy!r}.")
    if settings.push_ca_file:
        _check_certificates("RINGBACK_PUSH_CA_FILE", settings.push_ca_file)


def _check_certificates(name: str, file: str) -> None:
    import ssl  # noqa: PLC0415 - only where there is something to check

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as error:
        raise StartRefused(f"{name}: {file} has no PEM certificates.", cause=error) from error
    except OSError as error:
        raise StartRefused(f"{name}: {file} cannot be read: {error.strerror}.", cause=error) from error


def _is_proxy(text: str) -> bool:
    """http://HOST:PORT and nothing else."""
    return text.startswith("http://") and _is_base_url(text) and bool(re.fullmatch(r".*:\d+/?", text))


def _is_base_url(text: str) -> bool:
    """http(s)://HOST[:PORT][/PATH] and nothing else: paths are put behind it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    extra = parts.query or parts.fragment or parts.username is not None or any(letter.isspace() for letter in text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not extra
