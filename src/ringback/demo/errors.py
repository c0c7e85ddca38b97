"""Why the demo stopped, in words for the person who watches it."""

from __future__ import annotations

from ringback.errors import RingbackError


class DemoFailed(RingbackError):
    """The demo could not go on."""


class CheckFailed(DemoFailed):
    """Something that must hold does not."""


class NothingChecked(DemoFailed):
    """The step ended without checking anything, so nothing was verified."""


class BackEndRefused(DemoFailed):
    """The internal API refused a request."""

    def __init__(self, method: str, path: str, http_status: int, text: str) -> None:
        self.http_status = http_status
        super().__init__(f"{method} {path} was answered with {http_status}: {text[:300]}")
