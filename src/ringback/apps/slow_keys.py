"""What may take long with a key file, done in a process of its own that is ended when it takes too long.

A .p12 file and an encrypted key say themselves how many iterations their password needs, also where nobody can read it
without the password; the parts of a large RSA key take a quarter of a second to compare. All of that would hold the
interpreter all the time, in threads as well. What is here blocks, so it is called in a thread.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from ringback.errors import TooBusy

PATIENCE_SECONDS = 10
"""The process ends itself after 5 s of work; it may have to wait for its turn as well."""
_PROGRAM = Path(__file__).with_name("key_process.py")


class TooSlow(Exception):
    """The file asks for more work than anybody's file needs."""


class Opened(msgspec.Struct, frozen=True):
    """What was found, in PEM.

    `error`: `unsupported` = encrypted in an unknown way; `invalid` = damaged, or the password is wrong.
    """

    key: str | None = None
    certificates: tuple[str, ...] = ()
    error: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"Opened({self.error or 'OK'})"


def open_p12(data: bytes, password: str) -> Opened:
    """The key and the certificates of a .p12 file. Raises TooSlow, TooBusy."""
    return _ask("p12", data, password)


def open_key(data: bytes, password: str) -> Opened:
    """An encrypted private key, in PEM or DER. Raises TooSlow, TooBusy."""
    return _ask("key", data, password)


def is_whole(key: bytes) -> bool:
    """Whether the parts of a private key, in PEM or DER, belong together. Raises TooSlow, TooBusy."""
    return _ask("key", key, None).error is None


def _ask(file: Literal["p12", "key"], data: bytes, password: str | None) -> Opened:
    asked = msgspec.json.encode({"file": file, "data": base64.b64encode(data).decode(), "password": password})
    try:
        done = subprocess.run(  # noqa: S603 - our own program, nothing of a stranger's in its arguments
            [sys.executable, "-I", str(_PROGRAM)],
            input=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired as error:
        raise TooSlow from error
    except OSError as error:
        raise TooBusy(cause=error) from error
    if done.returncode:
        raise TooSlow
    return msgspec.json.decode(done.stdout, type=Opened)
