"""The process that converts documents: reads a document from its input, writes its text, and so on until the end.

Its CPU time is taken by a timer whose signal ends it, wherever it is; its memory by the limit of its address space.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from ragwatch.errors import DocumentUnreadableError
from ragwatch.sources.converter import receive, send
from ragwatch.sources.extract import extract, extract_text, prepare
from ragwatch.sources.formats import Format
from ragwatch.sources.limits import Limits

_STATM = Path("/proc/self/statm")


def main() -> None:
    """Serve until the input ends. What a library prints goes nowhere: the output is for answers."""
    limits, ready = Limits(**json.loads(sys.argv[1])), set[Format]()
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        while (request := receive(sys.stdin.buffer)) is not None:
            answer = _answer(request, limits, ready)
            send(answers, json.dumps(answer).encode())
            if "memory" in answer:
                return


def _answer(request: bytes, limits: Limits, ready: set[Format]) -> dict[str, object]:
    head, _, content = request.partition(b"\n")
    header = json.loads(head)
    form = Format(header["form"])
    if form not in ready:
        # What the libraries take themselves is not the document's.
        prepare(form)
        ready.add(form)
        _bound_memory(limits.memory_bytes)
    _bound_time(limits.seconds)
    try:
        if header.get("text"):
            found = extract_text(content.decode("utf-8", "surrogatepass"), form, limits)
        else:
            found = extract(content, form, encoding=header["encoding"], limits=limits)
        if len(found.text) > limits.expanded_bytes:
            return {"unreadable": f"too large: its text has {len(found.text)} characters"}
    except DocumentUnreadableError as error:
        return {"unreadable": error.fact}
    except MemoryError:
        return {"memory": True}
    finally:
        _bound_time(0)
    return {"text": found.text, "markup": found.markup.value, "title": found.title, "metadata": dict(found.metadata)}


def _bound_time(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _bound_memory(more: int) -> None:
    """Allow so much beside what is used by now. Where the system cannot tell or cannot limit it, nothing is limited."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = int(_STATM.read_text("ascii").split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        allowed = used + more
        resource.setrlimit(resource.RLIMIT_AS, (allowed if hard < 0 else min(allowed, hard), hard))


if __name__ == "__main__":
    main()
