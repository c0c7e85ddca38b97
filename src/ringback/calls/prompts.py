"""What a caller hears while the phone wakes: WAV files, or a tone of our own, ready to be sent as G.711."""

from __future__ import annotations

import math
import struct
import wave
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import structlog

from ringback.errors import StartRefused
from ringback.protocols.sip.g711 import encode_alaw, encode_ulaw
from ringback.protocols.sip.rtp import SAMPLES

_RATE: Final = 8000
LONGEST_SECONDS: Final = 120
MOST_PROMPTS: Final = 100
_SUFFIX: Final = ".wav"
_SILENT_ALAW: Final = b"\xd5"
_SILENT_ULAW: Final = b"\xff"

# The built-in tone: three notes of a chord, each softly struck and fading, then a rest; three seconds in all.
_NOTES: Final = ((0.00, 523.25), (0.28, 659.26), (0.56, 783.99))
_TONE_SECONDS: Final = 3
_LOUDNESS: Final = 6500
_FADE_PER_SECOND: Final = 4.5
_STRIKE_SECONDS: Final = 0.012

_log = structlog.get_logger(__name__)


class Prompt(msgspec.Struct, frozen=True, gc=False):
    """One prompt, cut into payloads of 20 ms. pcma, pcmu: as many of one as of the other, at least one."""

    pcma: tuple[bytes, ...]
    pcmu: tuple[bytes, ...]

    def payloads(self, codec: str) -> tuple[bytes, ...]:
        """Those of "PCMA" or "PCMU"."""
        return self.pcma if codec == "PCMA" else self.pcmu


class Prompts:
    """All that can be played; read once, so that no call waits for a disk.

    path: the WAV file that is played by default, "" for the tone. Other WAV files beside it are found by their names,
    with or without `.wav`; one that cannot be used is logged and left out. loop: whether a prompt begins again, where
    nobody says otherwise. Raises StartRefused when the file itself cannot be used.
    """

    def __init__(self, path: str = "", *, loop: bool = True) -> None:
        self.loop = loop
        self._named: dict[str, Prompt] = {}
        if not path:
            self.default = _tone()
            return
        try:
            self.default = read_prompt(Path(path))
        except ValueError as error:
            raise StartRefused(f"RINGBACK_SIP_PROMPT: {error}", cause=error) from error
        for file in sorted(Path(path).resolve().parent.glob(f"*{_SUFFIX}"))[:MOST_PROMPTS]:
            try:
                self._named[file.stem] = read_prompt(file)
            except ValueError as error:
                _log.warning("a prompt cannot be used", file=file.name, why=str(error))

    def get(self, name: str | None) -> Prompt:
        """The prompt of this name; the default one for None and for names that there are not."""
        return self.default if name is None else self._named.get(name.removesuffix(_SUFFIX), self.default)


def read_prompt(file: Path) -> Prompt:
    """Reads a WAV file: 8 kHz, 16 bit, one channel, up to two minutes. Raises ValueError with what to do."""
    try:
        with wave.open(str(file), "rb") as sound:
            kind = (sound.getframerate(), 8 * sound.getsampwidth(), sound.getnchannels())
            count = sound.getnframes()
            pcm = sound.readframes(min(count, LONGEST_SECONDS * _RATE))
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{file} is no WAV file of plain samples. {_HOW}") from error
    if kind != (_RATE, 16, 1):
        raise ValueError(f"{file} has {kind[0]} Hz, {kind[1]} bit, {kind[2]} channel(s). {_HOW}")
    if count > LONGEST_SECONDS * _RATE:
        raise ValueError(f"{file} is longer than {LONGEST_SECONDS} seconds.")
    if count == 0:
        raise ValueError(f"{file} is empty.")
    return _prompt(pcm)


_HOW: Final = "8000 Hz, 16 bit, 1 channel is needed: sox IN.wav -r 8000 -b 16 -c 1 OUT.wav"


def _prompt(pcm: bytes) -> Prompt:
    return Prompt(_cut(encode_alaw(pcm), _SILENT_ALAW), _cut(encode_ulaw(pcm), _SILENT_ULAW))


def _cut(sound: bytes, silence: bytes) -> tuple[bytes, ...]:
    sound += silence * (-len(sound) % SAMPLES)
    return tuple(sound[at : at + SAMPLES] for at in range(0, len(sound), SAMPLES))


@cache
def _tone() -> Prompt:
    count = _TONE_SECONDS * _RATE
    samples = [0.0] * count
    for begins, hertz in _NOTES:
        for n in range(round(begins * _RATE), count):
            t = n / _RATE - begins
            loudness = min(1.0, t / _STRIKE_SECONDS) * math.exp(-_FADE_PER_SECOND * t)
            samples[n] += _LOUDNESS * loudness * math.sin(math.tau * hertz * t)
    return _prompt(struct.pack(f"<{count}h", *(round(one) for one in samples)))
