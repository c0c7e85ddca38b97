"""The demo: plays the product's story with real messages over real HTTP, and checks every step of it.

`chapters.CHAPTERS` is the story: a new chapter is one function and one line. `play` plays chapters on a `Stage`
(server, back end, phones) for a `Narrator`; `server_process` starts the server that they are played against; `theatre`
puts these together for `ringback demo`.
"""

from __future__ import annotations

from ringback.demo.chapters import CHAPTERS
from ringback.demo.errors import CheckFailed, DemoFailed
from ringback.demo.narrators import SilentNarrator, TerminalNarrator
from ringback.demo.server_process import ServerProcess
from ringback.demo.stage import Stage
from ringback.demo.story import Chapter, Report, Story, play
from ringback.demo.theatre import perform

__all__ = [
    "CHAPTERS",
    "Chapter",
    "CheckFailed",
    "DemoFailed",
    "Report",
    "ServerProcess",
    "SilentNarrator",
    "Stage",
    "Story",
    "TerminalNarrator",
    "perform",
    "play",
]
