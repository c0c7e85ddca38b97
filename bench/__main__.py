"""Runs all or the named benches and prints one table, or one JSON line each; exit 1 when a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from bench import (
    activation,
    calls,
    engine,
    footprint,
    jwe,
    million,
    mobile,
    push,
    sip,
    soak,
    verify,
    wakeup_kamailio,
    writes,
)
from bench.figure import Figure

BENCHES: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "help": footprint.help_time,
    "memory": footprint.memory_at_rest,
    "writes-sqlite": writes.sqlite_writes,
    "writes-postgres": writes.postgres_writes,
    "verify": verify.signature_verify,
    "activation": activation.activations,
    "mobile": mobile.phone_calls,
    "jwe": jwe.encrypted_payloads,
    "engine": engine.requests_per_cpu_second,
    "push": push.whole_path,
    "call-push": push.calls_among_messages,
    "sip-hold": sip.calls_held_and_given_back,
    "calls-held": calls.held_calls,
    "calls-held-behind-proxy": calls.held_calls_behind_proxy,
    "early-media": calls.early_media,
    "deflect": calls.deflection,
    "deflect-notify": calls.deflection_by_notify,
    "wakeup": wakeup_kamailio.full_wakeup,
    "million": million.a_million_registrations,
    "soak": soak.ten_minutes_of_calls,
}
ONLY_NAMED = frozenset({"soak"})
"""Too long to run each time."""
MOST_SECONDS = 900


async def _run(names: list[str], *, as_json: bool) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        if not as_json and sys.stderr.isatty():
            print(f"… {name}", file=sys.stderr)
        measured = await asyncio.wait_for(BENCHES[name](), MOST_SECONDS)
        figures += measured
        if as_json:
            for figure in measured:
                print(msgspec.json.encode(figure.line()).decode(), flush=True)
    return figures


def main() -> int:
    """Exit code 0 when every target is met."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHES)}")
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench is called {unknown[0]}; there are: {', '.join(BENCHES)}")
    figures = uvloop.run(
        _run(options.names or [name for name in BENCHES if name not in ONLY_NAMED], as_json=options.json)
    )
    if not options.json:
        _print(figures)
    return 0 if all(figure.ok for figure in figures) else 1


def _print(figures: list[Figure]) -> None:
    table = Table("name", "figure", "target", "reference", "ratio", "ok", "detail")
    for figure in figures:
        sign = "≥" if figure.better == "higher" else "≤"
        wanted = "" if figure.target is None else f"{sign} {figure.target:g} {figure.unit}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        if figure.ratio_target is not None:
            ratio += f" (≥ {figure.ratio_target:g})"
        reference = "" if figure.reference is None else f"{figure.reference:,.2f}"
        verdict = "[green]yes[/green]" if figure.ok else "[red]NO[/red]"
        table.add_row(
            figure.name, f"{figure.figure:,.2f} {figure.unit}", wanted, reference, ratio, verdict, figure.detail
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    sys.exit(main())
