"""The story says ok only when every step was seen to hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from ringback.demo import Chapter, Report, Story, play
from ringback.demo.narrators import SilentNarrator
from ringback.demo.qr_terminal import qr_lines
from ringback.demo.stage import Stage
from ringback.demo.theatre import perform

QR = "5DLKM-7RHD2-IDUJI-5VR5Q#" + "M" * 96


async def played(*functions: Callable[[Story], Awaitable[None]]) -> Report:
    report = Report()
    chapters = [Chapter(function.__name__, function) for function in functions]
    await play(chapters, cast("Stage", None), SilentNarrator(), report)
    return report


async def good(story: Story) -> None:
    async with story.step("A → B: works"):
        story.check(True, "it holds")


async def test_good_story() -> None:
    report = await played(good, good)
    assert (report.ok, report.failed_step) == (True, None)
    assert [step.checks for chapter in report.chapters for step in chapter.steps] == [["it holds"]] * 2


async def broken_check(story: Story) -> None:
    async with story.step("A → B: breaks"):
        story.check(True, "first")
        story.check(0, "the sky is green")


async def checks_nothing(story: Story) -> None:
    async with story.step("A → B: nothing"):
        pass


async def raises(story: Story) -> None:
    async with story.step("A → B: raises"):
        raise ValueError("oops")


async def hangs(story: Story) -> None:
    async with story.step("A → B: hangs", seconds=0.05):
        await asyncio.sleep(30)


async def has_no_step(story: Story) -> None:
    pass


async def checks_outside(story: Story) -> None:
    story.check(True, "too early")


@pytest.mark.parametrize(
    ("function", "where", "why"),
    [
        (broken_check, "broken_check: A → B: breaks", "the sky is green"),
        (checks_nothing, "checks_nothing: A → B: nothing", "without checking anything"),
        (raises, "raises: A → B: raises", "ValueError: oops"),
        (hangs, "hangs: A → B: hangs", "longer than 0.05 seconds"),
        (has_no_step, "has_no_step: before its first step", "without checking anything"),
        (checks_outside, "checks_outside: before its first step", "outside a step"),
    ],
)
async def test_broken_story(function: Callable[[Story], Awaitable[None]], where: str, why: str) -> None:
    report = await played(good, function, good)
    assert not report.ok
    assert report.failed_step == where
    assert why in (report.error or "")
    assert len(report.chapters) == 2  # the chapter after it is not played


async def test_whole_story_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    clock = loop.time

    async def for_ever(story: Story) -> None:
        async with story.step("A → B: waits", seconds=1000):
            monkeypatch.setattr(loop, "time", lambda: clock() + 120)
            await asyncio.sleep(1000)

    report = await perform(
        [Chapter("Long", for_ever)], SilentNarrator(), tmp_path, default_ports=False, whole_seconds=120
    )
    assert report.failed_step == "Long: A → B: waits"
    assert "took longer" in (report.error or "")


@pytest.mark.parametrize("columns", [44, 48, 59, 200])
def test_qr_code_is_whole_however_narrow(columns: int) -> None:
    lines = qr_lines(QR, columns, colours=False)
    assert lines is not None
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= columns
    assert len(lines) == (len(lines[0]) + 1) // 2
    coloured = qr_lines(QR, columns, colours=True)
    assert coloured is not None
    assert [line[8:-4] for line in coloured] == lines


def test_qr_code_in_no_terminal_at_all() -> None:
    assert qr_lines(QR, 30, colours=False) is None
