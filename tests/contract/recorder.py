"""Which test sent or saw which field of which PowerAuth call; it keeps `held.toml`, from which a page is made.

    ./run test -n 0 -p tests.contract.recorder --record-fields

A field is held by a test that saw it over HTTP, and whose own text names it. What was held before and still is stays
as it is written. Fields that no test holds are printed.
"""

from __future__ import annotations

import ast
import contextvars
import json
import os
import re
import tomllib
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ringback.devices.encryption import Encryption
from ringback.http.edge import Edge
from tests.contract.fields import path_pattern, powerauth_calls, seen_in

HELD = Path(__file__).parent / "held.toml"
ROOT = Path(__file__).parents[2]
Seen = dict[str, dict[str, set[str]]]

_call: contextvars.ContextVar[str | None] = contextvars.ContextVar("call", default=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """--record-fields."""
    parser.addoption("--record-fields", action="store_true", help="write tests/contract/held.toml")


def pytest_configure(config: pytest.Config) -> None:
    """Puts the ears on, when asked to."""
    if config.getoption("--record-fields"):
        config.pluginmanager.register(_Recorder(), "recorder")


@lru_cache
def names_in_test(test: str) -> str:
    """The text of a test and of what else its file has, the test first; empty when there is no such test."""
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return ""
    text = (ROOT / path).read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return text if any(node.name == name for node in functions) else ""


def is_held_by(field: str, test: str) -> bool:
    """Whether the test is there, and its file names the field."""
    name = re.split(r"[. ]", field)[-1]
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match.group(1).lower(), name)
    return any(re.search(rf"\b{re.escape(one)}\b", names_in_test(test)) for one in {name, snake})


class _Recorder:
    def __init__(self) -> None:
        self._seen: Seen = defaultdict(lambda: defaultdict(set))
        self._calls: dict[str, set[str]] = {}
        self._patterns: list[tuple[str, re.Pattern[str], str]] = []
        self._listen()

    def _listen(self) -> None:
        recorder, serve, unseal, seal = self, Edge.__call__, Encryption.open, Encryption.seal

        async def heard(edge: Any, scope: Any, receive: Any, send: Any) -> None:
            call = recorder._call_of(scope)
            if call is None:
                await serve(edge, scope, receive, send)
                return
            _call.set(call)
            bodies = {"request": b"", "response": b""}
            status = [0]

            async def received() -> Any:
                message = await receive()
                bodies["request"] += message.get("body", b"")
                return message

            async def sent(message: Any) -> None:
                status[0] = message.get("status", status[0])
                bodies["response"] += message.get("body", b"")
                await send(message)

            await serve(edge, scope, received, sent)
            for name, _ in parse_qsl(scope["query_string"].decode("latin-1")):
                recorder._note(call, [f"query.{name}"])
            for where, body in bodies.items():
                if where == "request" or status[0] == 200:
                    recorder._note(call, seen_in(where, _json(body)))

        def opened(self: Encryption, *args: Any, **more: Any) -> Any:
            request = unseal(self, *args, **more)
            recorder._note(_call.get(), seen_in("decrypted request", _json(request.plaintext)))
            return request

        def sealed(self: Encryption, request: Any, answer: Any) -> Any:
            import msgspec  # noqa: PLC0415

            recorder._note(_call.get(), seen_in("decrypted response", _json(msgspec.json.encode(answer))))
            return seal(self, request, answer)

        Edge.__call__ = heard  # type: ignore[method-assign]
        Encryption.open = opened  # type: ignore[method-assign]
        Encryption.seal = sealed  # type: ignore[method-assign]

    def _call_of(self, scope: Any) -> str | None:
        if scope["type"] != "http":
            return None
        for method, pattern, call in self._patterns:
            if method == scope["method"] and pattern.match(scope["path"]):
                return call
        return f"{scope['method']} {scope['path']}"

    def _note(self, call: str | None, fields: Any) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "")
        if call is None or not test.endswith("(call)"):
            return
        name = re.sub(r"\[.*", "", test.rpartition(" ")[0])
        for field in fields:
            self._seen[call][field].add(name)

    @pytest.fixture(autouse=True, scope="session")
    def _described(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """The calls, as a server of its own describes them."""
        import asyncio  # noqa: PLC0415

        from tests.contract.documents import documents_of  # noqa: PLC0415
        from tests.served import Served  # noqa: PLC0415

        async def describe() -> dict[str, set[str]]:
            async with Served.start(tmp_path_factory.mktemp("described"), "", worker=False) as served:
                return powerauth_calls(*await documents_of(served))

        self._calls = asyncio.run(describe())
        # Without parameters first: `/operations/{id}` also matches what has an address of its own.
        for call in sorted(self._calls, key=lambda one: one.count("{")):
            method, _, path = call.partition(" ")
            self._patterns.append((method, path_pattern(path), call))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Writes the file and tells what is missing."""
        before = tomllib.loads(HELD.read_text()) if HELD.exists() else {}
        lines, missing = ["# Written by tests/contract/recorder.py; lines that hold are kept as they are.\n"], []
        for call in sorted(self._calls):
            lines.append(f"\n[{json.dumps(call)}]\n")
            for field in sorted(self._calls[call]):
                known = before.get(call, {}).get(field, "")
                holder = known if is_held_by(field, known) else self._holder(call, field)
                if holder:
                    lines.append(f"{json.dumps(field)} = {json.dumps(holder)}\n")
                else:
                    missing.append(f"{call}: {field}")
        HELD.write_text("".join(lines))
        for one in missing:
            terminalreporter.write_line(f"nothing holds {one}")

    def _holder(self, call: str, field: str) -> str:
        candidates = [test for test in sorted(self._seen[call][field]) if is_held_by(field, test)]
        generic = ("test_seed_payloads", "test_fuzz", "test_tenants", "test_raw_bodies")
        return min(candidates, key=lambda test: (any(one in test for one in generic), len(test)), default="")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
