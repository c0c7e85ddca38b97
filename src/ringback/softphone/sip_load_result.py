"""What a load of calls saw, and how it is counted."""

from __future__ import annotations

import math
from array import array

import msgspec


class SipLoadResult(msgspec.Struct, frozen=True, rename="camel"):
    """What the callers saw. Latencies in milliseconds, in the order in which they were seen.

    `finals`: how often each final status came to a first INVITE; `lost`: calls that had none in time. `answered`:
    calls that a phone took; `hung_up`: those that were ended in good order. `early_media`: calls that had a 183 with
    SDP. `register_to_final_ms`: from the moment in which a woken phone sent the REGISTER that was accepted to the
    moment in which its caller had the final answer.
    """

    calls: int
    seconds: float
    finals: dict[int, int]
    answered: int
    hung_up: int
    early_media: int
    lost: int
    retransmissions: int
    invite_to_183_ms: array[float]
    invite_to_final_ms: array[float]
    register_to_final_ms: array[float]

    @staticmethod
    def percentile(latencies: array[float], percent: float) -> float:
        """The latency that `percent` of them did not exceed; 0 when there is none."""
        ranked = sorted(latencies)
        return ranked[max(math.ceil(len(ranked) * percent / 100) - 1, 0)] if ranked else 0.0

    def summary(self) -> dict[str, float | int | dict[str, int]]:
        """The figures without the single latencies, ready for one line of JSON."""
        shown: dict[str, float | int | dict[str, int]] = {
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "finals": {str(status): count for status, count in sorted(self.finals.items())},
            "answered": self.answered,
            "hungUp": self.hung_up,
            "earlyMedia": self.early_media,
            "lost": self.lost,
            "retransmissions": self.retransmissions,
        }
        named = {
            "inviteTo183": self.invite_to_183_ms,
            "inviteToFinal": self.invite_to_final_ms,
            "registerToFinal": self.register_to_final_ms,
        }
        for name, latencies in named.items():
            shown |= {f"{name}P{percent}Ms": round(self.percentile(latencies, percent), 3) for percent in (50, 99)}
        return shown


class SipLoadTally:
    """Counts while a load runs."""

    def __init__(self) -> None:
        self.finals: dict[int, int] = {}
        self.answered = 0
        self.hung_up = 0
        self.early_media = 0
        self.lost = 0
        self.to_183: array[float] = array("d")
        self.to_final: array[float] = array("d")
        self.register_to_final: array[float] = array("d")

    def final(self, status: int) -> None:
        """A first INVITE was answered."""
        self.finals[status] = self.finals.get(status, 0) + 1

    def result(self, calls: int, seconds: float, retransmissions: int) -> SipLoadResult:
        """What was counted."""
        return SipLoadResult(
            calls=calls,
            seconds=seconds,
            finals=self.finals,
            answered=self.answered,
            hung_up=self.hung_up,
            early_media=self.early_media,
            lost=self.lost,
            retransmissions=retransmissions,
            invite_to_183_ms=self.to_183,
            invite_to_final_ms=self.to_final,
            register_to_final_ms=self.register_to_final,
        )
