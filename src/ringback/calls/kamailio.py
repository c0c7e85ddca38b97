"""A complete kamailio.cfg for the settings at hand: who is who at the top, the same routing below for everybody.

Kamailio's own preprocessor does the choosing: what is written here are its definitions, and `kamailio.cfg` beside this
file is what they are used by. So the result can be read, compared and changed with Kamailio's manual in hand.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ringback.errors import StartRefused

TABLES = "/usr/share/kamailio/dbtext/kamailio"
"""Empty tables that Debian's Kamailio brings; its presence modules want to see some when they start."""
SUBSCRIBER_REALM = "application-servers"
KAMAILIO_SERVERS_FILE = "ringback-application-servers.list"
DIGESTS = ("MD5", "SHA-256")

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):([0-9]{1,5})")
_SERVER = re.compile(_ADDRESS.pattern + r"(?:;transport=(?:udp|tcp|tls))?")
_ADVERTISED = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)(?::([0-9]{1,5}))?")
_DOMAIN = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?")
_IN_A_URL = re.compile(r"[0-9A-Za-z._~-]{1,255}")
_QUOTABLE = re.compile(r"[ !#-\[\]-~]{1,1024}")
_MARKED = "# SECRET, the next line. Whoever reads it can read what proves the subscribers."
_SECRETS = frozenset({"RB_RINGBACK", "RB_MARK", "RB_SUBSCRIBER_HA1"})
_MAX_PORT = 65_535


class KamailioCredential(msgspec.Struct, frozen=True):
    """How Kamailio proves to Ringback who it is: a system user of the role `sip-proxy`.

    `url`: of the internal listener. `ca_file`: PEM certificates that it is trusted by, where the system's do not do.
    """

    url: str
    login: str
    password: str
    ca_file: str = ""


class KamailioTls(msgspec.Struct, frozen=True):
    """Where phones connect with TLS. `ca_file`: whom the certificates of application servers must be from; "" = any."""

    listen: str
    certificate: str
    key: str
    ca_file: str = ""


class KamailioPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a Kamailio in front of Ringback is to do. Addresses are HOST:PORT, files are absolute paths.

    `application_servers`: HOST:PORT[;transport=tcp|tls]. `credential`: None = everybody is believed, for a laboratory.
    `trusted`: networks whose calls need no digest. `realm`: of all domains; empty = each is its own. `subscriber`: the
    user name that application servers subscribe with; empty = they are known by their addresses. `every_call`: also
    calls to subscribers who are registered go to an application server first, for the preferences that say so.
    """

    listen: tuple[str, ...]
    domains: tuple[str, ...]
    application_servers: tuple[str, ...]
    credential: KamailioCredential | None
    advertise: str = ""
    tls: KamailioTls | None = None
    trusted: tuple[str, ...] = ()
    realm: str = ""
    digest: str = "MD5"
    subscriber: str = ""
    subscriber_password: str = ""
    every_call: bool = False
    wake_seconds: int = 60
    requests_per_second: int = 50
    probe_seconds: int = 2
    loop_port: int = 5066
    memory_megabytes: int = 512
    run_folder: str = "/run/kamailio"
    servers_file: str = f"/etc/kamailio/{KAMAILIO_SERVERS_FILE}"
    tables: str = TABLES


def render_kamailio(plan: KamailioPlan) -> str:
    """The kamailio.cfg of `plan`; the line before a secret says so. Raises StartRefused with what cannot be written."""
    body = Path(__file__).with_suffix(".cfg").read_text("utf-8")
    return "\n".join([*_head(plan), "", body])


def render_kamailio_servers(plan: KamailioPlan) -> str:
    """The file of the application servers, in the form of Kamailio's dispatcher module. Raises StartRefused."""
    if not plan.application_servers:
        raise StartRefused("There is no application server: name one, or set RINGBACK_SIP_LISTEN.")
    servers = [_checked(_SERVER, server, "HOST:PORT[;transport=tcp|tls]") for server in plan.application_servers]
    for server in servers:
        _check_way(plan, server)
    return "\n".join([
        "# The application servers. After a change:  kamcmd dispatcher.reload",
        *(f"1 sip:{server} 0" for server in servers),
        "",
    ])  # fmt: skip


def _check_way(plan: KamailioPlan, server: str) -> None:
    """Kamailio sends from where it listens: from an address of the same kind, and over TLS from its port of TLS."""
    address, _, transport = server.partition(";transport=")
    host = _ip_of(address)
    if host is not None and host.is_unspecified:
        raise StartRefused(
            f"{address} is every address of a machine, and Kamailio calls one: give --application-server, or set"
            " RINGBACK_SIP_ADVERTISE."
        )
    if transport == "tls" and plan.tls is None:
        raise StartRefused(f"Kamailio connects to {server} from where it takes TLS itself: give --tls-listen.")
    listening = plan.listen if plan.tls is None or transport != "tls" else (plan.tls.listen,)
    ways = [_ip_of(one) for one in listening]
    if host is not None and all(way is not None and way.version != host.version for way in ways):
        raise StartRefused(
            f"Kamailio listens on {', '.join(listening)}, no address of IPv{host.version}, so it cannot reach {server}."
        )


def _ip_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address of HOST:PORT; None where it is a name."""
    try:
        return ipaddress.ip_address(address.rpartition(":")[0].strip("[]"))
    except ValueError:
        return None


def kamailio_secret_lines(text: str) -> list[int]:
    """The numbers of the lines of a configuration that are secrets."""
    return [number for number, line in enumerate(text.splitlines(), 2) if line == _MARKED]


def _head(plan: KamailioPlan) -> list[str]:
    if not plan.listen or not plan.domains:
        raise StartRefused("Kamailio needs an address to listen on and a domain.")
    domains = [_checked(_DOMAIN, domain, "a domain, such as example.com") for domain in plan.domains]
    advertised = f" advertise {_checked(_ADVERTISED, plan.advertise, 'HOST[:PORT]')}" if plan.advertise else ""
    lines = [
        "#!KAMAILIO",
        "# A Kamailio (5.6 or newer) in front of Ringback, made by `ringback kamailio config`.",
        "# It is registrar and proxy of the domains below. First who is who; the routing after it is always the same.",
        "# Try it with:  kamailio -c -f FILE",
        "",
        "# Where phones and other servers reach it.",
    ]
    for address in plan.listen:
        where = _checked(_ADDRESS, address, "HOST:PORT")
        lines += [f"listen=udp:{where}{advertised}", f"listen=tcp:{where}{advertised}"]
    if plan.tls is not None:
        lines += ["enable_tls=yes", f"listen=tls:{_checked(_ADDRESS, plan.tls.listen, 'HOST:PORT')}"]
    lines += [
        "# Where it tells itself of registrations; nobody else reaches it there.",
        f"listen=udp:127.0.0.1:{plan.loop_port}",
        "",
        "# The domains that it is responsible for.",
        *(alias for domain in domains for alias in _aliases(domain, plan)),
        "",
        "# Megabytes that its processes share: bindings, calls, registration events.",
        f"shm_mem_size={plan.memory_megabytes}",
        "",
    ]
    for name, (value, meaning) in _definitions(plan, domains).items():
        lines.append(f"# {meaning}")
        if name in _SECRETS:
            lines.append(_MARKED)
        lines.append(f"#!define {name} {value}")
    return lines


def _aliases(domain: str, plan: KamailioPlan) -> list[str]:
    """What makes Kamailio take a domain for itself: a name at every port, an address only where it listens.

    Other ports of an address are phones of the same machine, which may register and be called.
    """
    try:
        ipaddress.ip_address(domain)
    except ValueError:
        return [f'alias="{domain}"']
    listening = (*plan.listen, *((plan.tls.listen,) if plan.tls is not None else ()))
    ports = dict.fromkeys(address.rsplit(":", 1)[1] for address in listening)
    return [f"alias={domain}:{port}" for port in ports]


def _definitions(plan: KamailioPlan, domains: list[str]) -> dict[str, tuple[str, str]]:
    """Name → value and meaning."""
    loop = f"sip:registrations@127.0.0.1:{plan.loop_port}"
    if plan.digest not in DIGESTS:
        raise StartRefused(f"The digest is {' or '.join(DIGESTS)}.")
    defined = {
        "RB_DOMAIN": (_quoted(domains[0]), "The first of the domains."),
        "RB_SERVERS": (_quoted(plan.servers_file), "The application servers, one a line."),
        "RB_PROBE_SECONDS": (str(plan.probe_seconds), "So often they are asked with OPTIONS whether they are there."),
        "RB_WAKE_MILLISECONDS": (
            _quoted(str((plan.wake_seconds + 10) * 1000)),
            "How long an application server may keep a call: wake_seconds or the longest mobile_push_expiry, and 10 s.",
        ),
        "RB_REQUESTS_IN_2_SECONDS": (
            str(plan.requests_per_second * 2),
            "Requests that one address may send; who sends more is not answered for a while.",
        ),
        "RB_DIGEST": (_quoted(plan.digest), "The digest that phones are asked for, MD5 or SHA-256, and its HA1."),
        "RB_HA1": (_quoted(plan.digest.lower().replace("-", "")), "What Ringback calls it."),
        "RB_LOOP_PORT": (str(plan.loop_port), "The port above."),
        "RB_LOOP_URI": (_quoted(loop), "And as an address."),
        "RB_TABLES": (_quoted(f"text://{plan.tables}"), "Empty tables; nothing is ever written to them."),
        "RB_FIFO": (_quoted(f"{plan.run_folder}/kamailio_rpc.fifo"), "Where commands are taken."),
        "RB_CTL": (_quoted(f"unix:{plan.run_folder}/kamailio_ctl"), "Where kamcmd finds it."),
    }
    defined |= _who_is_who(plan)
    if plan.trusted:
        networks = ", ".join(_network(network) for network in plan.trusted)
        defined["RB_TRUSTED"] = (_quoted(networks), "Whose calls need no digest, such as a gateway.")
    if plan.every_call:
        defined["RB_EVERY_CALL"] = ("yes", "Every call goes to an application server first, also to who is registered.")
    if plan.tls is not None:
        defined["RB_TLS_CERTIFICATE"] = (_quoted(plan.tls.certificate), "TLS: the certificate chain.")
        defined["RB_TLS_KEY"] = (_quoted(plan.tls.key), "TLS: its key.")
        if plan.tls.ca_file:
            defined["RB_TLS_CA"] = (_quoted(plan.tls.ca_file), "TLS: whom application servers are trusted by.")
    return defined


def _who_is_who(plan: KamailioPlan) -> dict[str, tuple[str, str]]:
    """Digests of subscribers, of application servers, and the mark of our own dialogs."""
    defined = {}
    mark = "laboratory"
    if plan.credential is not None:
        where = urlsplit(plan.credential.url)
        login = _checked(_IN_A_URL, plan.credential.login, "a user name of letters, digits and ._~-")
        password = _checked(_IN_A_URL, plan.credential.password, "a password of letters, digits and ._~-")
        if where.scheme not in {"http", "https"} or not where.netloc or where.username or where.path.strip("/"):
            raise StartRefused(f"The internal listener is http(s)://HOST:PORT, not {plan.credential.url!r}.")
        at = f"{where.scheme}://{login}:{password}@{where.netloc}"
        defined["RB_RINGBACK"] = (_quoted(f"ringback=>{at};timeout=2"), "Where Ringback says who subscribers are.")
        if plan.credential.ca_file:
            defined["RB_RINGBACK_CA"] = (_quoted(plan.credential.ca_file), "Whom its certificate is from.")
        mark = hashlib.sha256(f"kamailio record-route {password}".encode()).hexdigest()
    defined["RB_MARK"] = (_quoted(mark), "Made from it: what marks the dialogs that were set up here.")
    if plan.realm:
        defined["RB_REALM"] = (_quoted(plan.realm), "The realm of all domains.")
    if plan.subscriber:
        hashing = hashlib.md5 if plan.digest == "MD5" else hashlib.sha256
        ha1 = hashing(f"{plan.subscriber}:{SUBSCRIBER_REALM}:{plan.subscriber_password}".encode()).hexdigest()
        defined["RB_SUBSCRIBER"] = (_quoted(plan.subscriber), "The user that application servers subscribe as.")
        defined["RB_SUBSCRIBER_REALM"] = (_quoted(SUBSCRIBER_REALM), "The realm that they are asked for.")
        defined["RB_SUBSCRIBER_HA1"] = (_quoted(ha1), "Its HA1 there.")
    return defined


def _quoted(value: str) -> str:
    if _QUOTABLE.fullmatch(value) is None:
        raise StartRefused(f"{value!r} cannot stand in a kamailio.cfg.")
    return f'"{value}"'


def _checked(pattern: re.Pattern[str], value: str, form: str) -> str:
    found = pattern.fullmatch(value)
    if found is None or any(not 0 < int(port) <= _MAX_PORT for port in found.groups() if port):
        shown = "a secret" if "password" in form else repr(value)
        raise StartRefused(f"{shown} is not {form}.")
    return value


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise StartRefused(f"{text!r} is not an address or network.") from error
