"""`ringback subscriber import`: a file is checked from end to end before the first subscriber is added."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from ringback.cli.installation import open_commands, operating_system_user
from ringback.errors import StartRefused

TEXTS = ("address", "userId", "displayName", "password", "realm", "md5", "sha256", "mobile_push_enable")
COLUMNS = (*TEXTS, "disabled", "mobile_push_expiry")
MOST_LINES = 50
MOST_BYTES = 40_000
"""What travels at once, and is one unit of work: small, since calls wait for the same database."""
MOST_SHOWN = 50
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Lines = list[dict[str, Any]]


def run_import(file: Path, *, skip_existing: bool, as_json: bool) -> None:
    """Checks, then adds. Raises StartRefused when nothing was added; prints what is wrong, by line."""
    wrong, total = _read_through(file)
    with open_commands() as run:
        checked = 0
        for lines in _batches(file):
            if len(wrong) <= MOST_SHOWN:
                wrong += map(tuple, run("subscribers_check", lines=lines, skip_existing=skip_existing))
            checked += len(lines)
            _progress("checked", checked, total)
        _progress_over()
        if wrong:
            _refuse(sorted(wrong), as_json=as_json)
        done = _add(run, file, total, skip_existing=skip_existing)
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        click.echo(f"added    {done['added']}\nskipped  {done['skipped']}")


def _add(run: Callable[..., Any], file: Path, total: int, *, skip_existing: bool) -> dict[str, int]:
    done, by = {"added": 0, "skipped": 0}, operating_system_user()
    for lines in _batches(file):
        try:
            added = run("subscribers_import", lines=lines, skip_existing=skip_existing, by=by)
        except StartRefused as error:
            _progress_over()
            before = f"The {done['added']} subscribers before line {lines[0]['line']} were added"
            message = f"{error.message} {before}; run it again with --skip-existing."
            raise StartRefused(message, cause=error) from error
        done = {name: done[name] + added[name] for name in done}
        _progress("added", done["added"] + done["skipped"], total)
    _progress_over()
    return done


def _refuse(wrong: list[tuple[int, str]], *, as_json: bool) -> None:
    shown = wrong[:MOST_SHOWN]
    if as_json:
        click.echo(msgspec.json.encode({"added": 0, "wrong": [{"line": n, "reason": text} for n, text in shown]}))
    else:
        for number, text in shown:
            click.echo(f"line {number}: {text}", err=True)
    many = "more than " if len(wrong) > MOST_SHOWN else ""
    raise StartRefused(f"{many}{len(shown)} lines cannot be taken. Nothing was added.")


def _read_through(file: Path) -> tuple[list[tuple[int, str]], int]:
    """What is wrong with the file itself, such as an address that is twice in it; and how many lines it has."""
    seen: dict[str, int] = {}
    wrong, total = [], 0
    for fields in _rows(file):
        total += 1
        username, at, domain = str(fields.get("address", "")).rpartition("@")
        address = username + at + domain.lower()
        if address in seen:
            wrong.append((fields["line"], f"{address} stands in line {seen[address]} already."))
        seen.setdefault(address, fields["line"])
    if not total:
        raise StartRefused(f"{file} has no subscribers.")
    return wrong, total


def _batches(file: Path) -> Iterator[Lines]:
    batch: Lines = []
    size = 0
    for fields in _rows(file):
        length = len(msgspec.json.encode(fields))
        if batch and (len(batch) == MOST_LINES or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(fields)
        size += length
    if batch:
        yield batch


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The lines as commands take them; empty cells are absent. Raises StartRefused."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
            if unknown or "address" not in (reader.fieldnames or ()):
                raise StartRefused(f"The first line names the columns: address, userId; {', '.join(COLUMNS[2:])}.")
            for row in reader:
                if None in row:
                    raise StartRefused(f"Line {reader.line_num} has more cells than the first line.")
                yield {"line": reader.line_num, **{name: _value(name, text) for name, text in row.items() if text}}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StartRefused(f"{file} is no CSV file in UTF-8: {error}.", cause=error) from error


def _value(name: str, text: str) -> Any:
    """A cell as JSON would have it; what does not fit stays text, and is refused by name."""
    if name == "disabled" or (name == "mobile_push_enable" and text.lower() in _WORDS):
        return _WORDS.get(text.lower(), text)
    return int(text) if name == "mobile_push_expiry" and re.fullmatch("[0-9]{1,6}", text) else text


def _progress(word: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{word} {done} of {total}", nl=False, err=True)


def _progress_over() -> None:
    if sys.stderr.isatty():
        click.echo("", err=True)
