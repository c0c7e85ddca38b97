"""`ringback testing`: doubles of the push providers, to try pushes out without Apple and Google."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ringback.testing import Providers, Received

PORT = click.IntRange(0, 65_535)


@click.group(name="testing", help="Doubles of the push providers, to try pushes out without Apple and Google.")
def command() -> None:
    """Groups the commands."""


@command.command("providers")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("ringback-providers"),
    show_default=True,
    help="Where the certificates and the credentials are kept.",
)
@click.option("--apns-port", type=PORT, default=2197, show_default=True, help="APNs for production; 0 = a free one.")
@click.option("--apns-sandbox-port", type=PORT, default=2198, show_default=True, help="APNs for development.")
@click.option("--fcm-port", type=PORT, default=2199, show_default=True, help="FCM.")
@click.option("--web-push-port", type=PORT, default=2200, show_default=True, help="Web Push.")
@click.option("--bundle-id", default="com.example.app", show_default=True, help="The app of the client certificate.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line: `ready` first, then each `push`.")
def providers(
    *,
    folder: Path,
    apns_port: int,
    apns_sandbox_port: int,
    fcm_port: int,
    web_push_port: int,
    bundle_id: str,
    as_json: bool,
) -> None:
    """Run doubles of APNs, FCM and a Web Push service on this machine, over real TLS and HTTP/2.

    They print what a server needs to talk to them, then one line for each push, until Ctrl-C. A folder that was used
    before keeps its credentials.

    The beginning of a push token says what happens to it. APNs: dead.. 410 Unregistered, bad0.. BadDeviceToken,
    0429.. TooManyRequests, 0503.. ServiceUnavailable, 0777.. the stream is reset, 0999.. no answer, 60aa.. GOAWAY. FCM:
    unregistered-.. quota-.. unavailable-.. silent-.. and more. `--json` lists all of them.
    """
    from ringback.errors import StartRefused
    from ringback.testing import Providers

    try:
        doubles = Providers(
            folder,
            apns_port=apns_port,
            apns_sandbox_port=apns_sandbox_port,
            fcm_port=fcm_port,
            web_push_port=web_push_port,
            bundle_id=bundle_id,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its files are not those that were made here"
        raise StartRefused(f"--folder: {folder} cannot be used: {reason}.", cause=error) from error
    asyncio.run(_run(doubles, as_json=as_json))


async def _run(doubles: Providers, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def told(received: Received) -> None:
        _line(_push(received)) if as_json else click.echo(_sentence(received))
        sys.stdout.flush()

    doubles.on_outcome(told)
    async with doubles:
        ready = _ready(doubles)
        _line(ready) if as_json else _introduce(ready)
        sys.stdout.flush()
        await stop.wait()


def _line(what: dict[str, Any]) -> None:
    import msgspec

    click.echo(msgspec.json.encode(what))


def _ready(doubles: Providers) -> dict[str, Any]:
    """Everything that somebody needs who wants to send a push to the doubles."""
    from ringback.testing import APNS_PREFIXES, FCM_PREFIXES

    subscription = doubles.web_push.subscribe()
    return {
        "event": "ready",
        "settings": doubles.settings,
        "apns": {
            "keyId": doubles.key.key_id,
            "teamId": doubles.key.team_id,
            "bundleId": doubles.bundle_id,
            "keyFile": str(doubles.key.file.absolute()),
            "certificateFile": str((doubles.folder / "apns-certificate.p12").absolute()),
            "prefixes": {prefix: behaviour.summary for prefix, behaviour in APNS_PREFIXES.items()},
        },
        "fcm": {
            "projectId": doubles.fcm.project_id,
            "serviceAccountFile": str(doubles.fcm.account.file.absolute()),
            "prefixes": {prefix: behaviour.summary for prefix, behaviour in FCM_PREFIXES.items()},
        },
        "webPush": {"url": doubles.web_push.url, "subscription": subscription.document},
    }


def _introduce(ready: dict[str, Any]) -> None:
    import msgspec

    settings, apns = ready["settings"], ready["apns"]
    lines = {
        "APNs": settings["RINGBACK_APNS_URL"],
        "APNs sandbox": settings["RINGBACK_APNS_SANDBOX_URL"],
        "FCM": settings["RINGBACK_FCM_URL"],
        "Web Push": ready["webPush"]["url"],
        "APNs key": f"{apns['keyFile']}   (key id {apns['keyId']}, team id {apns['teamId']})",
        "certificate": f"{apns['certificateFile']}   (for {apns['bundleId']}, without a password)",
        "FCM account": f"{ready['fcm']['serviceAccountFile']}   (project {ready['fcm']['projectId']})",
        "a browser": msgspec.json.encode(ready["webPush"]["subscription"]).decode(),
    }
    for name, value in lines.items():
        click.echo(f"  {name:<14}{value}")
    click.echo("\nThe server reads from its environment:")
    for name, value in settings.items():
        click.echo(f"  export {name}={shlex.quote(value)}")
    click.echo("\nThe doubles are ready. Each push is one line from here on; Ctrl-C ends them.")


def _push(received: Received) -> dict[str, Any]:
    from ringback.testing import is_encrypted, title_of

    return {
        "event": "push",
        "provider": received.provider,
        "number": received.number,
        "atMs": received.at_ms,
        "pushToken": received.push_token,
        "pushId": received.push_id,
        "topic": received.topic,
        "pushType": received.push_type,
        "status": received.status,
        "reason": received.reason,
        "title": title_of(received),
        "encrypted": is_encrypted(received),
        "http": received.http,
        "connection": received.connection,
        "stream": received.stream,
        "payload": received.payload if not isinstance(received.payload, bytes) else None,
    }


def _sentence(received: Received) -> str:
    from ringback.testing import title_of

    outcome = " ".join(part for part in (str(received.status or ""), received.reason) if part)
    kind = f" {received.push_type}" if received.push_type else ""
    return f"{received.provider:<13}{outcome:<26}{received.push_token[:16]}…{kind}  {title_of(received)}"
