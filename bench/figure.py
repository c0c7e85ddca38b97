"""One measured figure with what it is held against."""

from __future__ import annotations

from typing import Literal

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """`figure` and `target` in `unit`; `better` says on which side of the target it must be.

    `reference`: the same work by the reference, in the same unit, in the same run; `ratio` = figure / reference, and
    `ratio_target` what that must reach. `detail` is for the reader.
    """

    name: str
    figure: float
    unit: str
    target: float | None = None
    better: Literal["higher", "lower"] = "higher"
    reference: float | None = None
    ratio_target: float | None = None
    detail: str = ""

    @property
    def ratio(self) -> float | None:
        """Figure over reference."""
        return self.figure / self.reference if self.reference else None

    @property
    def ok(self) -> bool:
        """Whether every target is met."""
        if self.target is not None:
            met = self.figure >= self.target if self.better == "higher" else self.figure <= self.target
            if not met:
                return False
        return self.ratio_target is None or (self.ratio is not None and self.ratio >= self.ratio_target)

    def line(self) -> dict[str, object]:
        """The JSON line of this figure."""
        return {
            "name": self.name,
            "figure": round(self.figure, 2),
            "unit": self.unit,
            "target": self.target,
            "reference": None if self.reference is None else round(self.reference, 2),
            "ratio": None if self.ratio is None else round(self.ratio, 2),
            "ratioTarget": self.ratio_target,
            "ok": self.ok,
            "detail": self.detail,
        }
