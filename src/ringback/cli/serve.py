"""`ringback serve` and `ringback worker`: start the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import click

from ringback.errors import StartRefused
from ringback.settings import Settings, load_settings
from ringback.settings_checks import parse_listen

Announce = Callable[[Sequence[str]], None]


def _run(main: Coroutine[Any, Any, None]) -> None:
    import uvloop

    uvloop.run(main)


def _sockets(settings: Settings) -> Any:
    from ringback.http import bind_address
    from ringback.serving import Sockets

    public = bind_address("RINGBACK_PUBLIC_LISTEN", *parse_listen("RINGBACK_PUBLIC_LISTEN", settings.public_listen))
    internal_listen = parse_listen("RINGBACK_INTERNAL_LISTEN", settings.internal_listen)
    return Sockets(public, bind_address("RINGBACK_INTERNAL_LISTEN", *internal_listen))


def _announcement(settings: Settings, sockets: Any) -> Announce:
    def url(listening: socket.socket, wanted: str) -> str:
        host = wanted.rpartition(":")[0]
        return f"{settings.scheme}://{host}:{listening.getsockname()[1]}"

    def announce(sip: Sequence[str]) -> None:
        public, internal = (
            url(sockets.public, settings.public_listen),
            url(sockets.internal, settings.internal_listen),
        )
        calls = f", SIP {' '.join(sip)}" if sip else ""
        click.echo(f"ringback is ready: phones {public}, back ends {internal} (docs {internal}/docs){calls}")
        sys.stdout.flush()

    return announce


def _then_hold_on_to(lifeline: int, announce: Announce) -> Announce:
    """Drains and stops when the other end of the pipe is closed: whoever started this process is gone."""

    def parent_is_gone() -> None:
        asyncio.get_running_loop().remove_reader(lifeline)
        signal.raise_signal(signal.SIGTERM)

    def announce_and_watch(sip: Sequence[str]) -> None:
        announce(sip)
        asyncio.get_running_loop().add_reader(lifeline, parent_is_gone)

    return announce_and_watch


@click.command(help="Start the server. Without any configuration it works: SQLite in ./ringback-data, loopback only.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file (or RINGBACK_CONFIG).")
@click.option("--workers", type=int, help="Processes that serve HTTP (PostgreSQL only); over RINGBACK_WORKERS.")
@click.option("--lifeline-descriptor", type=int, hidden=True)  # of whoever starts a server that must not outlive it
def command(config_file: str | None, workers: int | None, lifeline_descriptor: int | None) -> None:
    """Binds the sockets first, so that a port in use is told before anything else is touched."""
    from ringback.observe import configure_logging
    from ringback.serving import Roles, serve
    from ringback.supervisor import supervise

    environment = dict(os.environ)
    if workers is not None:
        environment["RINGBACK_WORKERS"] = os.environ["RINGBACK_WORKERS"] = str(workers)
    if config_file is not None:
        os.environ["RINGBACK_CONFIG"] = os.path.abspath(config_file)  # noqa: PTH100 - children read it too
    settings, _ = load_settings(environment, config_file)
    configure_logging(settings.log_format, settings.log_level)
    sockets = _sockets(settings)
    announce = _announcement(settings, sockets)
    if lifeline_descriptor is not None:
        announce = _then_hold_on_to(lifeline_descriptor, announce)
    if settings.workers > 1:
        _run(supervise(settings, sockets, announce))
    else:
        _run(serve(settings, sockets, roles=Roles(), lock=True, announce=announce))


@click.command(help="Deliver pushes and callbacks and run the jobs, beside servers on the same PostgreSQL.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file (or RINGBACK_CONFIG).")
def worker(config_file: str | None) -> None:
    """A delivery process of its own, on this or another machine."""
    from ringback.observe import configure_logging
    from ringback.serving import Roles, serve

    settings, _ = load_settings(None, config_file)
    if not settings.database_url:
        raise StartRefused("A worker of its own needs PostgreSQL (RINGBACK_DATABASE_URL): SQLite has one process.")
    configure_logging(settings.log_format, settings.log_level)
    announce = lambda _: click.echo("ringback worker is ready")  # noqa: E731
    _run(serve(settings, None, roles=Roles(http=False, sip=False), lock=True, announce=announce))


@click.command(hidden=True, help="One process of `serve --workers N`; started by the supervisor.")
@click.argument("name", type=click.Choice(["http", "worker", "sip"]))
@click.option("--ready-descriptor", type=int, required=True)
@click.option("--lifeline-descriptor", type=int, required=True)
@click.option("--public-descriptor", type=int)
@click.option("--internal-descriptor", type=int)
def role(
    name: str,
    ready_descriptor: int,
    lifeline_descriptor: int,
    public_descriptor: int | None,
    internal_descriptor: int | None,
) -> None:
    """Serves on sockets that were inherited and tells the supervisor when it is ready; stops when that is gone."""
    from ringback.observe import configure_logging
    from ringback.serving import Roles, Sockets, serve

    settings, _ = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    sockets = None
    if public_descriptor is not None and internal_descriptor is not None:
        sockets = Sockets(socket.socket(fileno=public_descriptor), socket.socket(fileno=internal_descriptor))
    roles = Roles(http=name == "http", worker=name == "worker", sip=name == "sip")

    def tell_supervisor(_: Sequence[str]) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(ready_descriptor, b"1")
        os.close(ready_descriptor)

    announce = _then_hold_on_to(lifeline_descriptor, tell_supervisor)
    _run(serve(settings, sockets, roles=roles, lock=False, announce=announce))
