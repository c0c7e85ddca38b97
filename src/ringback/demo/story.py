"""A story: chapters made of steps, each of which must be seen to have worked."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from ringback.demo.errors import CheckFailed, DemoFailed, NothingChecked
from ringback.demo.stage import Stage
from ringback.errors import RingbackError

STEP_SECONDS = 30.0


class StepRecord(msgspec.Struct, rename="camel"):
    """One step as it went. `checks`: what was seen to hold; `error`: why it failed, None when it did not."""

    title: str
    milliseconds: float = 0.0
    checks: list[str] = msgspec.field(default_factory=list)
    error: str | None = None


class ChapterRecord(msgspec.Struct, rename="camel"):
    """One chapter as it went."""

    title: str
    steps: list[StepRecord] = msgspec.field(default_factory=list)


class Report(msgspec.Struct, rename="camel"):
    """The whole story. `failed_step` is `chapter: step`, None when every step of every chapter was verified."""

    ok: bool = True
    chapters: list[ChapterRecord] = msgspec.field(default_factory=list)
    failed_step: str | None = None
    error: str | None = None
    milliseconds: float = 0.0

    def where(self) -> str:
        """`chapter: step` that the story has come to."""
        if not self.chapters:
            return "Setting the stage"
        chapter = self.chapters[-1]
        return f"{chapter.title}: {chapter.steps[-1].title if chapter.steps else 'before its first step'}"

    def fail(self, where: str, error: str) -> None:
        """Remembers the first failure."""
        if self.ok:
            self.ok, self.failed_step, self.error = False, where, error


class Narrator(Protocol):
    """Tells the story to whoever watches."""

    def chapter(self, number: int, title: str) -> None:
        """A chapter begins."""
        ...

    def step(self, record: StepRecord) -> None:
        """A step is over, well or not."""
        ...

    def show(self, text: str) -> None:
        """Something that a person in the story sees."""
        ...

    def qr_code(self, content: str) -> None:
        """A QR code that a person in the story scans."""
        ...


class Story:
    """What a chapter tells with, and `stage`, on which it acts."""

    def __init__(self, stage: Stage, narrator: Narrator, chapter: ChapterRecord) -> None:
        self.stage = stage
        self.narrator = narrator
        self._chapter = chapter
        self._step: StepRecord | None = None

    @contextlib.asynccontextmanager
    async def step(self, title: str, *, seconds: float = STEP_SECONDS) -> AsyncIterator[None]:
        """One step, titled `who → whom: what`. It fails when it takes too long, and when it checked nothing."""
        record = StepRecord(title)
        self._chapter.steps.append(record)
        self._step = record
        started = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                yield
            if not record.checks:
                raise NothingChecked  # noqa: TRY301 - told like every other failure of the step
        except BaseException as error:
            record.error = _reason(error, seconds)
            raise
        finally:
            self._step = None
            record.milliseconds = round((time.perf_counter() - started) * 1000, 1)
            self.narrator.step(record)

    def check(self, condition: object, what: str) -> None:
        """`what` must hold. Raises CheckFailed."""
        if not condition:
            raise CheckFailed(f"This must hold, but does not: {what}")
        if self._step is None:
            raise DemoFailed(f"checked outside a step: {what}")
        self._step.checks.append(what)


class Chapter(msgspec.Struct, frozen=True):
    """A title and the function that plays it."""

    title: str
    play: Callable[[Story], Awaitable[None]]


async def play(chapters: Sequence[Chapter], stage: Stage, narrator: Narrator, report: Report) -> None:
    """Plays the chapters in order up to the first failure, which goes into the report and is never raised."""
    started = time.perf_counter()
    for number, chapter in enumerate(chapters, start=1):
        record = ChapterRecord(chapter.title)
        report.chapters.append(record)
        narrator.chapter(number, chapter.title)
        try:
            await chapter.play(Story(stage, narrator, record))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the report's to tell
            told = record.steps[-1].error if record.steps else None
            report.fail(report.where(), told or _reason(error, STEP_SECONDS))
            break
        if not record.steps:
            report.fail(report.where(), NothingChecked.default_message())
            break
    report.milliseconds = round((time.perf_counter() - started) * 1000, 1)


def _reason(error: BaseException, seconds: float) -> str:
    if isinstance(error, RingbackError):
        return error.message
    if isinstance(error, TimeoutError):
        return f"It took longer than {seconds:g} seconds."
    if isinstance(error, asyncio.CancelledError):
        return "It was interrupted."
    return f"{type(error).__name__}: {error}"
