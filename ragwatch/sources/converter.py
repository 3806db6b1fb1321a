"""Converting documents of formats that other libraries parse, in a process of its own that can be stopped.

A document can make a parser run for hours or fill the memory, and nothing stops a parser inside this process. Plain
text, Markdown and reStructuredText are not parsed here and are read in this process.
"""

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from signal import SIGKILL
from threading import Lock, Timer
from typing import IO, Any

import ragwatch
from ragwatch.corpus.document import Markup
from ragwatch.errors import DocumentUnreadableError
from ragwatch.sources.extract import Extracted, extract, extract_text
from ragwatch.sources.formats import TEXT_FORMATS, Format
from ragwatch.sources.limits import DEFAULT, Limits

WALL_FACTOR = 10
WALL_S = 60.0
"""Seconds of waiting, beside `WALL_FACTOR` times the CPU seconds: for the converter to start on a busy machine."""

_LENGTH = 8
_END_S = 10.0


class PassingError(DocumentUnreadableError):
    """The document could not be converted this time, for a cause that may not lie in it."""


class Converter:
    """Turns documents into text within limits. The process starts when a document first needs it.

    Bounded are CPU time and memory, where the platform can (memory: Linux), and in any case the time that is waited.
    Safe to call from several threads, which wait for one another.
    """

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self._lock = Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._served = 0
        weakref.finalize(self, _end, self._running, 0.0)

    def extract(self, content: bytes, form: Format, *, encoding: str | None = None) -> Extracted:
        """As `ragwatch.sources.extract.extract`, within the limits. Raises `PassingError` beside."""
        if form in TEXT_FORMATS:
            return extract(content, form, encoding=encoding)
        return self._convert({"form": form.value, "encoding": encoding}, content)

    def extract_text(self, text: str, form: Format) -> Extracted:
        """As `ragwatch.sources.extract.extract_text`, within the limits. Raises `PassingError` beside."""
        if form in TEXT_FORMATS:
            return extract_text(text, form)
        return self._convert({"form": form.value, "text": True}, text.encode("utf-8", "surrogatepass"))

    def _convert(self, header: Mapping[str, object], content: bytes) -> Extracted:
        request = json.dumps(header).encode() + b"\n" + content
        with self._lock:
            fresh = not self._served
            answer = self._ask(request)
            if "memory" in answer and not fresh:
                # What earlier documents have left behind is not this one's.
                answer = self._ask(request)
        if "memory" in answer:
            raise DocumentUnreadableError(f"converting it takes more than {self.limits.memory_bytes} bytes of memory")
        if "unreadable" in answer:
            raise DocumentUnreadableError(str(answer["unreadable"]))
        if "passing" in answer:
            raise PassingError(str(answer["passing"]))
        return Extracted(answer["text"], Markup(answer["markup"]), answer["title"], answer["metadata"])

    def _ask(self, request: bytes) -> dict[str, Any]:
        try:
            process = self._process()
        except OSError as error:
            return {"passing": f"the process that converts it cannot be started: {error.strerror}"}
        assert process.stdin is not None
        assert process.stdout is not None
        watch = Timer(WALL_S + WALL_FACTOR * self.limits.seconds, process.kill)
        watch.daemon = True
        watch.start()
        try:
            with suppress(OSError):
                send(process.stdin, request)
            found = receive(process.stdout)
        except BaseException:
            _end(self._running, 0.0)
            raise
        finally:
            watch.cancel()
            watch.join(_END_S)
        if found is None:
            return self._how_it_ended()
        self._served += 1
        answer: dict[str, Any] = json.loads(found)
        if "memory" in answer:
            _end(self._running, _END_S)
        return answer

    def _process(self) -> "subprocess.Popen[bytes]":
        if not self._running:
            home = str(Path(ragwatch.__file__).resolve().parents[1])
            paths = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "ragwatch.sources.converter_process", json.dumps(asdict(self.limits))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},
                # Ctrl-C is for this process: it decides what becomes of the document.
                start_new_session=True,
            )
            self._running.append(process)
            self._served = 0
        return self._running[0]

    def _how_it_ended(self) -> dict[str, Any]:
        # It closed its output as it ended, and its status follows at once.
        code = _end(self._running, _END_S)
        if code == -_CPU_SIGNAL:
            return {"unreadable": f"converting it takes more than {self.limits.seconds:g} s"}
        if code == -SIGKILL:
            return {"passing": "converting it took too long, or the system ended it for want of memory"}
        return {"passing": f"the process that converts it ended with status {code}"}


_CPU_SIGNAL = 27
"""SIGPROF, by which the process is ended when its CPU time is used up; by number, for platforms without it."""


def _end(running: "list[subprocess.Popen[bytes]]", grace_s: float) -> int | None:
    """End the process, by force where it has not ended within the grace, and return its status."""
    code = None
    while running:
        process = running.pop()
        try:
            code = process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait(_END_S)
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
    return code


def send(pipe: IO[bytes], message: bytes) -> None:
    """Write one message. Raises `OSError` where nobody reads."""
    pipe.write(len(message).to_bytes(_LENGTH, "big"))
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes | None:
    """Read one message, None where there is no whole one any more."""
    head = pipe.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head, "big")
    message = pipe.read(size)
    return message if len(message) == size else None
