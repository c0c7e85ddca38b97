"""baresip, a real phone without a screen: registers, answers by itself, plays a tone and keeps what it heard.

    async with baresip(tmp_path, proxy.address, "bob") as phone:
        await phone.until_registered()
        ...
        await phone.until_answered()

It is started by the test when the push arrives: that is what a sleeping phone does.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import struct
import wave
from collections.abc import AsyncIterator
from pathlib import Path

from tests.calls.ports import free_port
from tests.calls.programs import Program, find_program

DOMAIN = "example.com"
_MODULES = "/usr/lib/baresip/modules"
_RATE = 8000
_numbers = itertools.count()
_CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
{tls}
rtp_ports {rtp}-{rtp_end}
module_path {modules}
module account.so
module g711.so
module aufile.so
module menu.so
module stdio.so
module uuid.so
audio_player aufile,{folder}/heard.wav
audio_source aufile,{folder}/said.wav
audio_alert aufile,{folder}/alert.wav
"""


class Baresip:
    """One that runs."""

    def __init__(self, program: Program, folder: Path, port: int) -> None:
        self._program = program
        self._folder = folder
        self.port = port

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._program.log

    async def until_registered(self, seconds: float = 60) -> None:
        """Its REGISTER was answered 200."""
        await self._program.until("200 OK", seconds)

    async def until_answered(self, seconds: float = 60) -> None:
        """A call came, was answered, and is established."""
        await self._program.until("Call established", seconds)

    async def until_ended(self, seconds: float = 60) -> None:
        """The other side hung up."""
        # Of a call shorter than a second it says only the first.
        await self._program.until(lambda log: "session closed" in log or "terminated" in log, seconds)

    @property
    def heard(self) -> bytes:
        """The sound that came in, as 16-bit samples; complete when the call is over."""
        path = self._folder / "heard.wav"
        if not path.exists():
            return b""
        with wave.open(str(path)) as sound:
            return sound.readframes(sound.getnframes())


@contextlib.asynccontextmanager
async def baresip(
    folder: Path,
    registrar: str,
    user: str,
    *,
    domain: str = DOMAIN,
    password: str = "secret",
    transport: str = "udp",
    ca_file: Path | None = None,
    parameters: str = "",
) -> AsyncIterator[Baresip]:
    """Starts it; `registrar`: HOST:PORT of the proxy. `parameters` go into the account's line, after a semicolon."""
    own = folder / f"baresip-{next(_numbers)}"
    own.mkdir()
    port = free_port()
    rtp = free_port()
    tls = f"sip_cafile {ca_file}" if ca_file else ""
    (own / "config").write_text(
        _CONFIG.format(port=port, rtp=rtp, rtp_end=rtp + 20, modules=_MODULES, folder=own, tls=tls)
    )
    (own / "accounts").write_text(
        f'<sip:{user}@{domain};transport={transport}>;outbound="sip:{registrar};transport={transport}";regint=60;'
        f"answermode=auto;auth_user={user};auth_pass={password}{parameters}\n"
    )
    (own / "contacts").touch()
    _write_tone(own / "said.wav")
    command = [find_program("baresip", "baresip-core"), "-f", str(own), "-t", "120"]
    program = await Program.start(command, own, own / "baresip.log")
    try:
        yield Baresip(program, own, port)
    finally:
        await program.stop(signal.SIGINT)


def _write_tone(path: Path) -> None:
    samples = [8000 if (number // 10) % 2 else -8000 for number in range(_RATE * 4)]
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
