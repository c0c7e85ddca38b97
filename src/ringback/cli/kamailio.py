"""`ringback kamailio`: a Kamailio in front of this server."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _CreatedUser(msgspec.Struct):
    """What `ringback admin create-user NAME --role sip-proxy --json` prints."""

    username: str
    password: str


@click.group(name="kamailio", help="A Kamailio as registrar and proxy in front of this server.")
def command() -> None:
    """Groups the commands."""


@command.command("config")
@click.option("--domain", "domains", multiple=True, required=True, help="A SIP domain that it serves. Repeatable.")
@click.option(
    "--listen",
    multiple=True,
    default=("0.0.0.0:5060",),  # phones come from anywhere
    show_default=True,
    metavar="HOST:PORT",
    help="Where phones reach it over UDP and TCP. Repeatable.",
)
@click.option("--advertise", default="", metavar="HOST[:PORT]", help="Its address as others see it.")
@click.option("--tls-listen", metavar="HOST:PORT", help="Where phones reach it over TLS.")
@click.option("--tls-certificate", type=FILE, help="PEM; by default RINGBACK_TLS_CERTIFICATE.")
@click.option("--tls-key", type=FILE, help="PEM; by default RINGBACK_TLS_KEY.")
@click.option("--tls-ca", type=FILE, help="PEM: whom the certificates of application servers must be from.")
@click.option(
    "--application-server",
    "servers",
    multiple=True,
    metavar="HOST:PORT[;transport=tcp|tls]",
    help="A server of `ringback serve`; by default this one. Repeatable.",
)
@click.option("--internal-url", help="Internal listener of Ringback; by default as the settings say.")
@click.option("--internal-ca", type=FILE, help="PEM: whom its certificate is from.")
@click.option(
    "--credential-file",
    type=FILE,
    help="What `ringback admin create-user kamailio --role sip-proxy --json` printed: how Kamailio may ask who is who.",
)
@click.option("--no-digest", is_flag=True, help="Believe everybody. For a laboratory.")
@click.option("--digest", type=click.Choice(["MD5", "SHA-256"]), default="MD5", show_default=True, help="For phones.")
@click.option("--trusted", multiple=True, metavar="NETWORK", help="Its calls need no digest: a gateway. Repeatable.")
@click.option("--every-call", is_flag=True, help="Hand over calls to registered subscribers as well.")
@click.option("--longest-wake", type=click.IntRange(1, 600), help="Longest mobile_push_expiry; else wake_seconds.")
@click.option("--memory", type=click.IntRange(64, 65_536), default=512, show_default=True, help="Shared, in megabytes.")
@click.option("--loop-port", type=click.IntRange(1, 65_535), default=5066, show_default=True, help="To itself.")
@click.option("--run-folder", default="/run/kamailio", show_default=True, help="Where kamcmd finds it.")
@click.option("--output", default="-", show_default=True, metavar="FILE", help="Its kamailio.cfg; - = print it.")
def config(*, output: str, **options: Any) -> None:
    """Write a complete kamailio.cfg for the settings at hand.

    Beside it the list of application servers is written. Both files are readable by their owner alone.
    """
    from ringback.calls import (
        KAMAILIO_SERVERS_FILE,
        kamailio_secret_lines,
        render_kamailio,
        render_kamailio_servers,
    )

    folder = Path("/etc/kamailio") if output == "-" else Path(output).absolute().parent
    plan = _plan(options, str(folder / KAMAILIO_SERVERS_FILE))
    text, servers = render_kamailio(plan), render_kamailio_servers(plan)
    if output == "-":
        click.echo(text, nl=False)
        click.echo(f"\n# {KAMAILIO_SERVERS_FILE}, a file of its own:")
        click.echo("".join(f"#   {line}\n" for line in servers.splitlines()), nl=False)
        return
    _write(Path(output), text)
    _write(folder / KAMAILIO_SERVERS_FILE, servers)
    click.echo(f"configuration        {output}\napplication servers  {folder / KAMAILIO_SERVERS_FILE}")
    secrets = ", ".join(str(number) for number in kamailio_secret_lines(text))
    click.echo(f"secret lines         {secrets or 'none'}\ntry it               kamailio -c -f {output}")


def _plan(options: dict[str, Any], servers_file: str) -> Any:
    from ringback.calls import KamailioPlan
    from ringback.settings import load_settings

    settings, _ = load_settings()
    own = settings.sip_advertise or settings.sip_listen
    servers = options["servers"] or ((own if ":" in own else f"{own}:5070",) if own else ())
    return KamailioPlan(
        listen=options["listen"],
        domains=options["domains"],
        application_servers=servers,
        credential=_credential(options, settings),
        advertise=options["advertise"],
        tls=_tls(options, settings),
        trusted=options["trusted"],
        realm=settings.sip_realm,
        digest=options["digest"],
        subscriber=settings.sip_proxy_user,
        subscriber_password=settings.sip_proxy_password,
        every_call=options["every_call"],
        wake_seconds=max(settings.wake_seconds, options["longest_wake"] or 0),
        requests_per_second=settings.sip_requests_per_second,
        loop_port=options["loop_port"],
        memory_megabytes=options["memory"],
        run_folder=options["run_folder"],
        servers_file=servers_file,
    )


def _credential(options: dict[str, Any], settings: Any) -> Any:
    from ringback.calls import KamailioCredential

    file: Path | None = options["credential_file"]
    if file is None:
        if not options["no_digest"]:
            raise click.UsageError("Give --credential-file (or --no-digest, in a laboratory).")
        return None
    try:
        user = msgspec.json.decode(file.read_bytes(), type=_CreatedUser)
    except msgspec.MsgspecError as error:
        raise click.UsageError(f"{file} is not what `ringback admin create-user … --json` prints.") from error
    url = options["internal_url"] or settings.internal_base
    return KamailioCredential(url.rstrip("/"), user.username, user.password, _path(options["internal_ca"]))


def _tls(options: dict[str, Any], settings: Any) -> Any:
    from ringback.calls import KamailioTls

    if options["tls_listen"] is None:
        return None
    certificate = _path(options["tls_certificate"] or settings.tls_certificate)
    key = _path(options["tls_key"] or settings.tls_key)
    if not certificate or not key:
        raise click.UsageError("--tls-listen needs --tls-certificate and --tls-key.")
    return KamailioTls(options["tls_listen"], certificate, key, _path(options["tls_ca"]))


def _path(file: Path | str | None) -> str:
    return str(Path(file).absolute()) if file else ""


def _write(path: Path, text: str) -> None:
    """Never half written, and never readable by others in between; the owner of a file that was there stays it."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if path.exists() and os.geteuid() == 0:
            was = path.stat()
            os.fchown(file.fileno(), was.st_uid, was.st_gid)
    Path(name).replace(path)
