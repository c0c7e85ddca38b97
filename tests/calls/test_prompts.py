"""What callers hear: the tone, and WAV files."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest

from ringback.calls.prompts import LONGEST_SECONDS, Prompts, read_prompt
from ringback.errors import StartRefused
from ringback.protocols.sip.g711 import encode_alaw, encode_ulaw


def write_wav(file: Path, samples: list[int], *, rate: int = 8000, width: int = 2, channels: int = 1) -> Path:
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file


def test_a_file_is_cut_into_packets_and_filled_up_with_silence(tmp_path: Path) -> None:
    samples = [(n * 37) % 20000 - 10000 for n in range(400)]
    prompt = read_prompt(write_wav(tmp_path / "x.wav", samples))
    pcm = struct.pack("<400h", *samples)
    assert b"".join(prompt.payloads("PCMA")) == encode_alaw(pcm) + b"\xd5" * 80
    assert b"".join(prompt.payloads("PCMU")) == encode_ulaw(pcm) + b"\xff" * 80
    assert [len(one) for one in prompt.pcma] == [160, 160, 160]


def test_prompts_are_found_by_their_names(tmp_path: Path) -> None:
    main = write_wav(tmp_path / "main.wav", [1000])
    write_wav(tmp_path / "other.wav", [2000])
    write_wav(tmp_path / "wrong.wav", [2000], rate=16000)
    (tmp_path / "torn.wav").write_bytes(b"RIFF")
    prompts = Prompts(str(main), loop=False)
    assert prompts.loop is False
    assert prompts.get(None) is prompts.default
    assert prompts.get("other").pcma == prompts.get("other.wav").pcma != prompts.default.pcma
    for name in ("wrong", "torn", "unknown", "../main", "", str(main)):
        assert prompts.get(name) is prompts.default


def test_without_a_file_there_is_a_soft_tone() -> None:
    default = Prompts().default
    assert len(default.pcma) == len(default.pcmu) == 150
    assert Prompts().get("anything").pcma == default.pcma
    assert len(set(default.pcma)) > 100  # it sounds
    assert default.pcma[-1].count(b"\xd5") + default.pcma[-1].count(b"\x55") > 40  # and has faded when it begins again


@pytest.mark.parametrize(
    ("options", "why"),
    [({"rate": 16000}, "16000 Hz"), ({"channels": 2}, "2 channel"), ({"width": 1}, "8 bit")],
)
def test_another_format_is_refused_with_what_to_do(tmp_path: Path, options: dict[str, int], why: str) -> None:
    file = write_wav(tmp_path / "x.wav", [0] * 100, **options)
    with pytest.raises(StartRefused, match=why) as caught:
        Prompts(str(file))
    assert str(caught.value).startswith("RINGBACK_SIP_PROMPT: ")
    assert "sox" in str(caught.value)


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"RIFF", b"not a sound at all"):
        (tmp_path / "x.wav").write_bytes(content)
        with pytest.raises(StartRefused, match="no WAV file"):
            Prompts(str(tmp_path / "x.wav"))
    with pytest.raises(StartRefused, match="cannot be read"):
        Prompts(str(tmp_path / "missing.wav"))
    with pytest.raises(StartRefused, match="empty"):
        Prompts(str(write_wav(tmp_path / "x.wav", [])))
    with pytest.raises(StartRefused, match="longer"):
        Prompts(str(write_wav(tmp_path / "x.wav", [0] * (LONGEST_SECONDS * 8000 + 1))))
