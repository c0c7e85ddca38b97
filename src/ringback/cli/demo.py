"""`ringback demo`: the whole story with software phones."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from ringback.demo import Report, ServerProcess, Stage


@click.command(help="Play the whole story against a server of its own, and leave that running until Ctrl-C.")
@click.option("--check", is_flag=True, help="Do not wait at the end. Exit code 0: every step was verified.")
@click.option("--json", "as_json", is_flag=True, help="With --check: one JSON object instead of the story.")
@click.option("--data-dir", type=click.Path(file_okay=False), help="Keep the data here; else they are thrown away.")
def command(*, check: bool, as_json: bool, data_dir: str | None) -> None:
    """Exit code 1 names the step that failed."""
    import msgspec
    from rich.console import Console

    if as_json and not check:
        raise click.UsageError("--json goes with --check.")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without arrows gets question marks, not a failure
    console = Console(highlight=False)
    with _data_folder(data_dir) as folder:
        try:
            report = asyncio.run(_demo(folder, console, check=check, as_json=as_json))
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo("Interrupted.", err=True)
            sys.exit(130)
    if as_json:
        click.echo(msgspec.json.encode(report))
    elif report.ok and check:
        steps = sum(len(chapter.steps) for chapter in report.chapters)
        click.echo(f"\nEvery one of {steps} steps was verified in {report.milliseconds / 1000:.1f} s.")
    if not report.ok:
        click.echo(f"ringback demo: failed at: {report.failed_step}: {report.error}", err=True)
        sys.exit(1)


async def _demo(folder: Path, console: Console, *, check: bool, as_json: bool) -> Report:
    from ringback.demo import CHAPTERS, SilentNarrator, TerminalNarrator, perform

    stop = asyncio.Event()
    loop, story = asyncio.get_running_loop(), asyncio.current_task()

    def end() -> None:
        if story is not None and (stop.is_set() or not waiting):
            story.cancel()
        stop.set()

    waiting: list[bool] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)

    async def stay(report: Report, stage: Stage, server: ServerProcess) -> None:
        if not report.ok:
            return
        _say_what_runs(console, stage, server)
        waiting.append(True)
        ended = asyncio.create_task(server.ended())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        stopped.cancel()
        console.print("\nStopping the server.")

    narrator = SilentNarrator() if as_json else TerminalNarrator(console)
    return await perform(CHAPTERS, narrator, folder, default_ports=not check, afterwards=None if check else stay)


def _say_what_runs(console: Console, stage: Stage, server: ServerProcess) -> None:
    """Everything that a person needs to go on by hand."""
    integration = stage.integration
    lines = {
        "Swagger UI": f"{server.internal_url}/powerauth-cloud/swagger-ui/index.html",
        "Back ends": f"{server.internal_url}/powerauth-cloud",
        "Phones": f"{server.public_url}/enrollment-server",
        "User name": integration.username if integration else "",
        "Password": integration.password if integration else "",
        "App": stage.app_id,
        "Alice is": stage.user_id,
        "Server log": str(server.log_path),
        **_calling(stage),
        "Her phone": f"ringback phone list --state {shlex.quote(str(stage.phone_file('first')))}   (PIN 1357)",
    }
    console.print("\n[bold]The server is still running.[/bold] Ctrl-C stops it.")
    for name, value in lines.items():
        console.print(f"  {name:<12}{value}", soft_wrap=True, markup=False)


def _calling(stage: Stage) -> dict[str, str]:
    """How to call Alice, and how to be her phone; after a demo that came so far."""
    alice, bob = stage.sip_accounts.get("alice"), stage.sip_accounts.get("bob")
    if alice is None or bob is None:
        return {}
    phone = shlex.quote(str(stage.phone_file("first")))
    account = f"--from {bob.uri} --server {bob.server} --password={bob.password}"
    return {
        "She answers": f"ringback phone answer --state {phone}",
        "Call her": f"ringback phone call {alice.uri} {account}",
    }


@contextlib.contextmanager
def _data_folder(wanted: str | None) -> Iterator[Path]:
    if wanted is not None:
        yield Path(wanted).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="ringback-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
