"""sipp, the SIP load generator, as caller and as phone, with our own scenarios from `scenarios/`.

    call = await run_sipp(tmp_path, "caller", proxy.address, callee="bob")
    assert call.successful == 1 and call.statuses == [100, 183, 180, 200, 200]

    async with sipp(tmp_path, "phone", proxy.address) as phone:      # a phone that answers, on phone.address
        await register(tmp_path, proxy.address, "bob", phone.contact("bob"))
        ...
        assert (await phone.finished()).successful == 1

Scenarios: caller, caller_digest (auth_user, auth_password), caller_redirected (by 401 and 302), caller_refused and
caller_digest_refused (status), caller_digest_refused_401, caller_cancel (wait), register and register_digest (status,
contact, expires), phone (ring), phone_rings. This sipp has no TLS.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from tests.calls.ports import free_port
from tests.calls.programs import Program, find_program

SCENARIOS = Path(__file__).parent / "scenarios"
DOMAIN = "example.com"
_DEFAULTS = {"talk": "100", "wait": "200", "ring": "100", "status": "200", "callee": "[service]", "media": "6000"}
_TRANSPORTS = {"udp": "u1", "tcp": "t1"}
_numbers = itertools.count()


class Message(msgspec.Struct, frozen=True):
    """One SIP message of the trace."""

    is_received: bool
    text: str

    @property
    def status(self) -> int | None:
        """Of a response."""
        found = re.match(r"SIP/2\.0 (\d{3})", self.text)
        return int(found[1]) if found else None

    @property
    def method(self) -> str | None:
        """Of a request."""
        return None if self.status else self.text.split(" ", 1)[0]

    def header(self, name: str) -> str | None:
        """The first header field of that name."""
        found = re.search(rf"^{re.escape(name)}\s*:\s*(.*?)\s*$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else None


class SippResult(msgspec.Struct, frozen=True):
    """What sipp counted, and every message when it was traced."""

    exit_code: int
    successful: int
    failed: int
    retransmissions: int
    messages: tuple[Message, ...]
    errors: str

    @property
    def received(self) -> list[Message]:
        """In order."""
        return [message for message in self.messages if message.is_received]

    @property
    def statuses(self) -> list[int]:
        """Statuses of the responses that came. One that came again, as on a machine that stood still, counts once."""
        names = ("Via", "To", "Call-ID", "CSeq")
        seen = {(one.status, *map(one.header, names)): one.status for one in self.received if one.status}
        return [status for status in seen.values() if status]

    @property
    def methods(self) -> list[str]:
        """Methods of the requests that came."""
        return [message.method for message in self.received if message.method]

    def response(self, status: int) -> Message:
        """The first response of that status."""
        return next(message for message in self.received if message.status == status)


class Sipp:
    """One that runs."""

    def __init__(self, program: Program, folder: Path, port: int, transport: str) -> None:
        self._program = program
        self._folder = folder
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._transport = transport

    def contact(self, user: str, parameters: str = "") -> str:
        """A Contact header field that leads here; `parameters` of the URI begin with a semicolon."""
        return f"<sip:{user}@{self.address};transport={self._transport}{parameters}>"

    async def finished(self) -> SippResult:
        """Waits until all of its calls are over."""
        await self._program.process.wait()
        return self.result()

    def result(self) -> SippResult:
        """What there is so far; the counts are there when it has ended."""
        rows = [
            row
            for path in self._folder.glob("statistics.csv")
            for row in csv.DictReader(path.read_text().splitlines(), delimiter=";")
        ]
        last = rows[-1] if rows else {}
        errors = self._folder / "errors.log"
        code = self._program.process.returncode
        return SippResult(
            exit_code=-1 if code is None else code,
            successful=int(last.get("SuccessfulCall(C)", 0)),
            failed=int(last.get("FailedCall(C)", 0)),
            retransmissions=int(last.get("Retransmissions(C)", 0)),
            messages=tuple(_messages(self._folder / "messages.log")),
            errors=(errors.read_text(errors="replace") if errors.exists() else "") + self._program.log[-2000:],
        )

    async def until_received(self, what: str, seconds: float = 60) -> None:
        """Waits until a message came in whose first line has `what` in it."""
        await self._program.until(
            lambda _: any(what in message.text.partition("\n")[0] for message in self.result().received), seconds
        )

    async def stop(self) -> SippResult:
        """Ends it, also in the middle of calls."""
        await self._program.stop(signal.SIGKILL)
        return self.result()


@contextlib.asynccontextmanager
async def sipp(
    folder: Path,
    scenario: str,
    to: str,
    *,
    callee: str = "bob",
    callees: Sequence[str] = (),
    caller: str = "alice",
    domain: str = DOMAIN,
    transport: str = "udp",
    calls: int = 1,
    rate: int = 10,
    seconds: int = 60,
    port: int = 0,
    trace: bool = True,
    keys: dict[str, str] | None = None,
    auth_uri: str = "",
    **replacements: object,
) -> AsyncIterator[Sipp]:
    """Starts a scenario towards `to` (HOST:PORT); ends it when the block is left, whatever it is doing.

    `callees`: one for each call, in turn. `keys`: for `[key]` in a scenario. `replacements`: for `@name@` in it.
    `auth_uri`: the Request-URI without its scheme, for who wants it in the digest as it is; sipp says `sip:HOST:PORT`.
    """
    own = folder / f"sipp-{next(_numbers)}-{scenario}"
    own.mkdir()
    text = (SCENARIOS / f"{scenario}.xml").read_text()
    keys = dict(keys or {})
    # sipp knows no keyword inside of [authentication …]
    credentials: dict[str, str] = {name: keys.pop(name) for name in ("auth_user", "auth_password") if name in keys}
    words = {**_DEFAULTS, **credentials, **{name: str(value) for name, value in replacements.items()}}
    if callees:
        words["callee"] = "[field0]"
        (own / "callees.csv").write_text("\n".join(["SEQUENTIAL", *callees, ""]))
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    (own / "scenario.xml").write_text(text)
    port = port or free_port()
    given = {"domain": domain, "caller": caller, **keys}
    command = [
        find_program("sipp", "sip-tester"), to, "-sf", "scenario.xml", "-s", callee, "-i", "127.0.0.1", "-p", str(port),
        "-t", _TRANSPORTS[transport], "-m", str(calls), "-r", str(rate), "-l", str(min(calls + 10, 20_000)), "-nostdin",
        "-default_behaviors", "all,-bye", "-deadcall_wait", "0",
        "-recv_timeout", str(seconds * 1000), "-timeout", str(seconds + 10), "-timeout_error",
        "-trace_err", "-error_file", "errors.log", "-trace_stat", "-stf", "statistics.csv", "-fd", "1",
        *(("-trace_msg", "-message_file", "messages.log") if trace else ()),
        *(("-inf", "callees.csv") if callees else ()),
        *(("-auth_uri", auth_uri) if auth_uri else ()),
        *(part for name, value in given.items() for part in ("-key", name, value)),
    ]  # fmt: skip
    program = await Program.start(command, own, own / "screen.log")
    try:
        yield Sipp(program, own, port, transport)
    finally:
        await program.stop(signal.SIGKILL)


async def run_sipp(folder: Path, scenario: str, to: str, **options: object) -> SippResult:
    """Plays a scenario to its end."""
    async with sipp(folder, scenario, to, **options) as running:  # type: ignore[arg-type]
        return await running.finished()


async def register(
    folder: Path, to: str, user: str, contact: str, *, expires: int = 300, status: int = 200, **options: object
) -> SippResult:
    """One REGISTER; with `auth_user` and `auth_password` in `keys` it answers a challenge."""
    keys = {"contact": contact, "expires": str(expires), **(options.pop("keys", None) or {})}  # type: ignore[dict-item]
    scenario = "register_digest" if "auth_user" in keys else "register"
    return await run_sipp(folder, scenario, to, callee=user, keys=keys, status=status, **options)


def _messages(path: Path) -> list[Message]:
    if not path.exists():
        return []
    parts = re.split(r"^-{40,} .*$", path.read_text("utf-8", errors="replace"), flags=re.MULTILINE)
    found = []
    for part in parts:
        head, _, text = part.strip("\n").partition("\n\n")
        if "message" in head:
            found.append(Message("message received" in head, text))
    return found
