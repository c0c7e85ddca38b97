"""Every setting, in one documented Struct: built-in value, then the TOML file, then RINGBACK_* variables.

`ringback config show` prints each value and where it came from; the text beside each field is the one it prints.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ringback.errors import StartRefused
from ringback.settings_checks import check


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of one server. A field `x` is `x` in the TOML file and `RINGBACK_X` in the environment."""

    data_dir: Annotated[str, msgspec.Meta(description="Folder of the database, the key file and the lock.")] = (
        "./ringback-data"
    )
    database_url: Annotated[
        str, msgspec.Meta(description="postgresql://… for PostgreSQL; empty = SQLite in the data folder.")
    ] = ""
    postgres_connections: Annotated[
        int,
        msgspec.Meta(ge=2, le=200, description="Connections to PostgreSQL of each process, beside one that listens."),
    ] = 16
    key_file: Annotated[
        str, msgspec.Meta(description="File of the instance key; empty = instance.key in the data folder.")
    ] = ""
    public_listen: Annotated[str, msgspec.Meta(description="HOST:PORT that phones reach.")] = "127.0.0.1:8080"
    internal_listen: Annotated[str, msgspec.Meta(description="HOST:PORT that back ends reach.")] = "127.0.0.1:8081"
    public_url: Annotated[
        str, msgspec.Meta(description="URL under which phones reach the public listener; empty = made from it.")
    ] = ""
    internal_hosts: Annotated[
        str,
        msgspec.Meta(description="Comma list of Host names that the internal listener answers to, beside its own."),
    ] = ""
    tls_certificate: Annotated[
        str, msgspec.Meta(description="PEM certificate chain of both listeners; empty = no TLS.")
    ] = ""
    tls_key: Annotated[str, msgspec.Meta(description="PEM private key of the certificate.")] = ""
    trusted_proxies: Annotated[
        str, msgspec.Meta(description="Comma list of addresses or networks whose X-Forwarded-* headers count.")
    ] = ""
    workers: Annotated[
        int, msgspec.Meta(ge=1, le=64, description="Processes that serve HTTP; more than one needs PostgreSQL.")
    ] = 1
    body_limit_bytes: Annotated[int, msgspec.Meta(ge=1024, description="Largest request body.")] = 262_144
    max_connections: Annotated[
        int,
        msgspec.Meta(
            ge=10,
            description="Connections of each listener at a time, as far as open files allow; more are answered 503.",
        ),
    ] = 8_000
    activation_validity_seconds: Annotated[
        int, msgspec.Meta(ge=1, le=2_592_000, description="How long an activation code can be used.")
    ] = 120
    max_failed_attempts: Annotated[
        int, msgspec.Meta(ge=1, le=64, description="Wrong signatures in a row after which a registration is blocked.")
    ] = 5
    signature_look_ahead: Annotated[
        int, msgspec.Meta(ge=1, le=64, description="Counter values tried when a signature is checked.")
    ] = 20
    temporary_key_validity_seconds: Annotated[
        int, msgspec.Meta(ge=30, le=3600, description="Lifetime of a temporary encryption key.")
    ] = 300
    request_window_seconds: Annotated[
        int, msgspec.Meta(ge=1, le=3600, description="How far an encrypted request's clock may be off, either way.")
    ] = 60
    mac_token_past_seconds: Annotated[
        int, msgspec.Meta(ge=1, description="Oldest timestamp of a MAC token that is accepted.")
    ] = 7200
    mac_token_future_seconds: Annotated[
        int, msgspec.Meta(ge=0, description="Furthest timestamp in the future of a MAC token that is accepted.")
    ] = 1800
    activation_attempts_per_minute: Annotated[
        int, msgspec.Meta(ge=1, description="Wrong activation codes that one address may send in a minute.")
    ] = 60
    delete_any_registration: Annotated[
        bool,
        msgspec.Meta(description="DELETE of a registration works in every status, not only before it is committed."),
    ] = False
    vault_unlock_with_biometry: Annotated[
        bool, msgspec.Meta(description="A phone may unlock its vault with biometry, not only with knowledge.")
    ] = False
    proximity_check_step_seconds: Annotated[
        int, msgspec.Meta(ge=5, le=600, description="How long a proximity OTP of an operation is shown.")
    ] = 30
    egress_allow: Annotated[
        str,
        msgspec.Meta(
            description="Comma list of networks that callbacks and OpenID providers may be in although they are"
            " private or local, exactly as written here; http and any port are allowed there."
        ),
    ] = ""
    egress_ports: Annotated[
        str, msgspec.Meta(description="Comma list of ports that callbacks and OpenID providers may have elsewhere.")
    ] = "443"
    egress_proxy: Annotated[
        str,
        msgspec.Meta(
            description="http://HOST:PORT of a CONNECT proxy for https of callbacks and OpenID; empty = none."
        ),
    ] = ""
    apns_url: Annotated[str, msgspec.Meta(description="APNs for apps in production.")] = "https://api.push.apple.com"
    apns_sandbox_url: Annotated[str, msgspec.Meta(description="APNs for apps in development.")] = (
        "https://api.sandbox.push.apple.com"
    )
    fcm_url: Annotated[str, msgspec.Meta(description="FCM HTTP v1.")] = "https://fcm.googleapis.com"
    fcm_token_url: Annotated[
        str,
        msgspec.Meta(description="Where service accounts get access tokens; their own `token_uri` is not believed."),
    ] = "https://oauth2.googleapis.com/token"  # noqa: S105 - a URL
    push_ca_file: Annotated[
        str,
        msgspec.Meta(description="PEM certificates that APNs, FCM and Web Push are trusted by, beside the system's."),
    ] = ""
    push_proxy: Annotated[
        str, msgspec.Meta(description="http://HOST:PORT of a CONNECT proxy to APNs and FCM; empty = none.")
    ] = ""
    push_http2: Annotated[
        str, msgspec.Meta(pattern="^(ngh2|h2)$", description="HTTP/2 library: ngh2 (fast) or h2 (pure Python).")
    ] = "ngh2"
    push_connections: Annotated[
        int, msgspec.Meta(ge=1, le=100, description="Connections to a provider, at most, for each push credential.")
    ] = 8
    push_credentials_cache_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=86_400,
            description="How long a changed push credential may take to have its effect; 0 = at once.",
        ),
    ] = 0
    uds_attempts_per_minute: Annotated[
        int, msgspec.Meta(ge=1, description="Wrong passwords that one address, or for one user, may send in a minute.")
    ] = 10
    sip_listen: Annotated[str, msgspec.Meta(description="HOST:PORT of SIP over UDP and TCP; empty = no SIP.")] = ""
    sip_tls_listen: Annotated[
        str, msgspec.Meta(description="HOST:PORT of SIP over TLS, with the certificate of the listeners; empty = none.")
    ] = ""
    sip_mode: Annotated[
        str,
        msgspec.Meta(
            pattern="^(embedded|application-server)$",
            description="embedded: registrar and redirect server itself; application-server: behind a SIP proxy.",
        ),
    ] = "embedded"
    sip_advertise: Annotated[
        str, msgspec.Meta(description="HOST[:PORT] that other SIP servers reach this one at; empty = sip_listen.")
    ] = ""
    sip_proxies: Annotated[
        str,
        msgspec.Meta(description="Comma list of addresses or networks of the SIP proxies that calls are taken from."),
    ] = ""
    sip_proxy: Annotated[
        str,
        msgspec.Meta(
            description="HOST[:PORT], with ;transport=tcp or tls if need be, that tells of bindings; empty = callers'."
        ),
    ] = ""
    sip_ca_file: Annotated[
        str, msgspec.Meta(description="PEM certificates that a SIP proxy over TLS is trusted by, beside the system's.")
    ] = ""
    sip_proxy_user: Annotated[str, msgspec.Meta(description="User name, when the SIP proxy asks for a digest.")] = ""
    sip_proxy_password: Annotated[str, msgspec.Meta(description="Its password.")] = ""
    sip_deflect_status: Annotated[
        int,
        msgspec.Meta(
            ge=300, le=302, description="How a call is given back to the proxy: 302, or 300 as the older servers did."
        ),
    ] = 302
    sip_deflect_port: Annotated[
        int, msgspec.Meta(ge=0, le=65535, description="Port in the Contact of that answer; 0 = as in the request.")
    ] = 0
    sip_without_subscription: Annotated[
        str,
        msgspec.Meta(
            pattern="^(refuse|continue)$",
            description="What becomes of a call when the proxy refuses the subscription: refuse (500) or continue.",
        ),
    ] = "refuse"
    sip_early_media: Annotated[bool, msgspec.Meta(description="The caller hears a prompt while the phone wakes.")] = (
        True
    )
    sip_prompt: Annotated[
        str, msgspec.Meta(description="WAV file of that prompt (8 kHz, 16 bit, mono); empty = a built-in tone.")
    ] = ""
    sip_prompt_loop: Annotated[bool, msgspec.Meta(description="The prompt begins again when it is over.")] = True
    sip_rtp_listen: Annotated[
        str,
        msgspec.Meta(description="HOST:PORT that early media is sent from; empty = the host of sip_listen, any port."),
    ] = ""
    sip_realm: Annotated[
        str, msgspec.Meta(description="Realm of SIP digests; empty = the domain of the subscriber.")
    ] = ""
    sip_digest_algorithms: Annotated[
        str,
        msgspec.Meta(
            pattern="^(MD5|SHA-256|SHA-256,MD5)$",
            description="What phones are asked for without a proxy. Many know MD5 alone, and refuse to choose.",
        ),
    ] = "MD5"
    sip_max_calls: Annotated[
        int, msgspec.Meta(ge=1, le=200_000, description="Calls that wait at a time; more are answered 503.")
    ] = 20_000
    sip_max_message_bytes: Annotated[int, msgspec.Meta(ge=2048, le=1_048_576, description="Largest SIP message.")] = (
        65_535
    )
    sip_requests_per_second: Annotated[
        int,
        msgspec.Meta(ge=1, description="Requests that one address may send in a second; the proxies may send more."),
    ] = 50
    sip_pushes_per_minute: Annotated[
        int, msgspec.Meta(ge=1, description="Calls to one callee that are pushed in a minute, without a proxy.")
    ] = 6
    sip_min_expires: Annotated[
        int, msgspec.Meta(ge=1, le=86_400, description="Shortest lifetime of a binding that is accepted, in seconds.")
    ] = 60
    sip_max_expires: Annotated[
        int, msgspec.Meta(ge=60, le=604_800, description="Longest lifetime of a binding, in seconds.")
    ] = 3600
    wake_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=300, description="How long a caller waits for a phone to wake, where no preference says it."
        ),
    ] = 60
    oidc_issuer: Annotated[
        str, msgspec.Meta(description="Issuer whose access tokens system users may send as Bearer; empty = only Basic.")
    ] = ""
    oidc_audience: Annotated[str, msgspec.Meta(description="Audience that such an access token must name.")] = ""
    oidc_username_claim: Annotated[
        str, msgspec.Meta(min_length=1, description="Claim of such an access token that names the system user.")
    ] = "sub"
    log_format: Annotated[
        str, msgspec.Meta(pattern="^(auto|json|text)$", description="auto (text in a terminal), json or text.")
    ] = "auto"
    log_level: Annotated[
        str, msgspec.Meta(pattern="^(debug|info|warning|error)$", description="Least important message that is logged.")
    ] = "info"

    @property
    def data_folder(self) -> Path:
        """The data folder as a path."""
        return Path(self.data_dir)

    @property
    def key_path(self) -> Path:
        """Where the instance key is."""
        return Path(self.key_file) if self.key_file else self.data_folder / "instance.key"

    @property
    def control_socket(self) -> Path:
        """Where the command line reaches a running server."""
        return self.data_folder / "control.sock"

    @property
    def scheme(self) -> str:
        """http or https, as the listeners speak."""
        return "https" if self.tls_certificate else "http"

    @property
    def sip_addresses(self) -> list[str]:
        """Where SIP listens, as `transport:HOST:PORT`; empty = there is no SIP."""
        plain = [f"udp:{self.sip_listen}", f"tcp:{self.sip_listen}"] if self.sip_listen else []
        return plain + ([f"tls:{self.sip_tls_listen}"] if self.sip_tls_listen else [])

    @property
    def speaks_sip(self) -> bool:
        """Whether calls are taken over SIP."""
        return bool(self.sip_listen or self.sip_tls_listen)

    @property
    def public_base(self) -> str:
        """The URL of the public listener, without a slash at the end."""
        return (self.public_url or f"{self.scheme}://{self.public_listen}").rstrip("/")

    @property
    def internal_base(self) -> str:
        """The URL of the internal listener, without a slash at the end."""
        return f"{self.scheme}://{self.internal_listen}"


class Setting(msgspec.Struct, frozen=True):
    """One setting with its value, where that came from, and what it means."""

    name: str
    value: str | int
    source: str
    meaning: str


_OTHER_VARIABLES = frozenset({
    "RINGBACK_CONFIG", "RINGBACK_MIGRATE_DATABASE_URL", "RINGBACK_PHONE", "RINGBACK_PIN", "RINGBACK_VECTORS"
})  # fmt: skip


def load_settings(
    environment: Mapping[str, str] | None = None, config_file: str | None = None
) -> tuple[Settings, list[Setting]]:
    """Reads the TOML file (`config_file`, or the one that RINGBACK_CONFIG names) and the environment.

    Returns the settings and, for people, each one with its source. Raises StartRefused in one sentence that names the
    setting, its source, and what is wrong.
    """
    environment = os.environ if environment is None else environment
    path = config_file or environment.get("RINGBACK_CONFIG", "")
    from_file = _read_toml(path) if path else {}
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name in from_file:
            values[field.name] = from_file.pop(field.name)
            sources[field.name] = path
        variable = "RINGBACK_" + field.name.upper()
        if variable in environment:
            values[field.name] = environment[variable]
            sources[field.name] = variable
    if from_file:
        unknown = min(from_file)
        raise StartRefused(f"{path} has a setting that does not exist: {unknown}. See: ringback config show")
    settings = _convert(values, sources)
    check(settings)
    shown = [
        Setting(field.name, getattr(settings, field.name), sources.get(field.name, "built in"), meaning(field))
        for field in msgspec.structs.fields(Settings)
    ]
    return settings, shown


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none: a word mistyped, most often. Nobody reads them."""
    known = {"RINGBACK_" + field.name.upper() for field in msgspec.structs.fields(Settings)} | _OTHER_VARIABLES
    return sorted(name for name in environment if name.startswith("RINGBACK_") and name not in known)


def meaning(field: msgspec.structs.FieldInfo) -> str:
    """The sentence beside a setting."""
    info = msgspec.inspect.type_info(field.type)
    extra = info.extra_json_schema if isinstance(info, msgspec.inspect.Metadata) else None
    return str((extra or {}).get("description", ""))


def _read_toml(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise StartRefused(f"The configuration file {path} cannot be read: {error}", cause=error) from error


def _convert(values: dict[str, object], sources: dict[str, str]) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`") if "$." in str(error) else ""
        reason = str(error).split(" - ")[0]
        raise StartRefused(f"{sources.get(name, 'The configuration')}: {name}: {reason}.", cause=error) from error
