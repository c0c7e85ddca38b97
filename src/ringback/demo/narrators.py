"""Who tells the story: to a person in a terminal, or to nobody, for `--json`."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from ringback.demo.qr_terminal import qr_lines
from ringback.demo.story import StepRecord


class TerminalNarrator:
    """Tells it as a person would, with what was checked below each step."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def chapter(self, number: int, title: str) -> None:
        """A chapter begins."""
        self._console.print(f"\n[bold]{number}. {escape(title)}[/bold]")

    def step(self, record: StepRecord) -> None:
        """A step is over, well or not."""
        mark = "[green]✓[/green]" if record.error is None else "[red]✗[/red]"
        self._console.print(f"  {mark} {escape(record.title)} [dim]{record.milliseconds:.0f} ms[/dim]", highlight=False)
        for check in record.checks:
            self._console.print(f"      [dim]{escape(check)}[/dim]", highlight=False)
        if record.error is not None:
            self._console.print(f"      [red]{escape(record.error)}[/red]", highlight=False)

    def show(self, text: str) -> None:
        """Something that a person in the story sees."""
        self._console.print(f"      [cyan]▌ {escape(text)}[/cyan]", highlight=False)

    def qr_code(self, content: str) -> None:
        """The code whole, or its text where the terminal is too narrow for it."""
        lines = qr_lines(content, self._console.width, colours=self._console.is_terminal)
        if lines is None:
            self.show("This terminal is too narrow for the QR code. It says:")
            self._console.print(content, soft_wrap=True, highlight=False, markup=False)
            return
        for line in lines:
            self._console.file.write(line + "\n")  # rich must neither wrap nor colour it
        self._console.file.flush()


class SilentNarrator:
    """Tells nothing: the report says it all."""

    def chapter(self, number: int, title: str) -> None:
        """A chapter begins."""

    def step(self, record: StepRecord) -> None:
        """A step is over."""

    def show(self, text: str) -> None:
        """Something that a person in the story sees."""

    def qr_code(self, content: str) -> None:
        """A QR code."""
