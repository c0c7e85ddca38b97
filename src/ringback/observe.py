"""What the people who run the server can see: logs, health, metrics."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog
from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ringback.http import Routes
from ringback.store import Store

_SECRET_WORDS = frozenset({"password", "passphrase", "secret", "authorization", "pin", "otp", "totp"})
_SECRET_ENDS = ("token", "key", "auth_header")  # a key_id or a token_id may be logged, a key may not
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_WITHHELD = "[withheld]"


def withhold_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A log line never carries a value whose name says that it is a secret, however deep it is."""
    for name, value in event.items():
        event[name] = _WITHHELD if _is_secret(name) else _without_secrets(value)
    return event


def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    return not _SECRET_WORDS.isdisjoint(words) or "_".join(words).endswith(_SECRET_ENDS)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _WITHHELD if _is_secret(str(key)) else _without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value


def _visible(text: str) -> str:
    """The text where what moves the cursor, colours or turns what a terminal shows is written as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else _escaped(one) for one in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _visible_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Strangers write paths and names; whatever is no string is shown by its `repr`, which is visible."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _visible(value)
    return event


def _visible_traceback(to: TextIO, error: Any) -> None:
    """The plain one: that which structlog prefers shows local variables, and with them passwords and keys."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, error)
    to.write(_visible(plain.getvalue()))


class _Log:
    """stderr, which is often a file on the disk that is full: a line that cannot be written fails no request."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logging(log_format: str, level: str) -> None:
    """Logs to stderr. `auto`: text in a terminal, else one JSON object a line. Colours are for terminals only."""
    in_terminal = sys.stderr.isatty()
    text = log_format == "text" or (log_format == "auto" and in_terminal)
    in_text = structlog.dev.ConsoleRenderer(colors=in_terminal, exception_formatter=_visible_traceback)
    renderer: Any = in_text if text else structlog.processors.JSONRenderer()
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        withhold_secrets,
    ]
    processors.append(_visible_values if text else structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Log())),
        cache_logger_on_first_use=True,
    )
    # What libraries, and rooms that know no structlog, say to `logging`: the same lines, from warnings on.
    handler = logging.StreamHandler(cast("TextIO", _Log()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *processors],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class Health(msgspec.Struct, frozen=True):
    """Whether the server is alive, or ready to answer."""

    status: Literal["UP", "DOWN"]


METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of `prometheus_client`, read when it is imported: where processes keep their figures together."""


def _metrics() -> CollectorRegistry:
    """The figures of this process, or of all processes that the supervisor started: pushes are sent by another one."""
    if METRICS_FOLDER not in os.environ:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together


def routes(store: Store) -> Routes:
    """Health and metrics, on the internal listener."""

    @get("/health/live", tags=["Health"], operation_id="healthLive", summary="The process runs.", opt={"role": None})
    async def live() -> Health:
        return Health("UP")

    @get(
        "/health/ready",
        tags=["Health"],
        operation_id="healthReady",
        summary="The database answers; 503 when it does not.",
        opt={"role": None},
    )
    async def ready() -> Health:
        await store.ping()
        return Health("UP")

    @get("/metrics", include_in_schema=False, opt={"role": None})
    async def metrics() -> Response[bytes]:
        return Response(generate_latest(_metrics()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Routes(internal=[live, ready, metrics])
