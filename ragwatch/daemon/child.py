"""The process that a job runs in: `python -m ragwatch.daemon.child list CONFIG` and `... run CONFIG JOB`.

A job has a process of its own because then it can be stopped, whatever it does: it may hang in a system call, keep the
interpreter's lock for minutes (the embedded engine does), need a gigabyte for a model, or crash. What it took is given
back when it ends; the daemon itself never loads a model, nor runs code of the jobs folder.

Standard output carries one line of JSON at the end; what the job prints goes to standard error. Standard input is a
line to the daemon: when it is cut, the daemon is gone, and the job stops at its next safe point.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from ragwatch.corpus.identity import Json

LAST_WORDS_S = 20.0
"""How long an orphan may take to stop."""


def main(arguments: list[str]) -> int:
    """Do what the daemon asks, and answer with one line."""
    answer = os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_watch_the_daemon, daemon=True).start()
    task, config, *rest = arguments
    value = _list(Path(config)) if task == "list" else _run(Path(config), rest[0])
    sys.stdout.flush()
    with os.fdopen(answer, "w", encoding="utf-8") as line:
        json.dump(value, line)
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _watch_the_daemon() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LAST_WORDS_S)
    os._exit(1)


def _list(config: Path) -> dict[str, Json]:
    from ragwatch.app import load
    from ragwatch.app.jobs import folder_of
    from ragwatch.errors import RagwatchError

    try:
        folder = folder_of(load(config))
    except RagwatchError as error:
        return {"fact": error.fact, "hint": error.hint, "exit_code": int(error.exit_code)}
    return {
        "jobs": [{"name": job.name, "trigger": job.trigger, "summary": job.summary} for job in folder.jobs],
        "broken": [{"file": one.file, "error": one.error} for one in folder.broken],
    }


def _run(config: Path, name: str) -> dict[str, Json]:
    from ragwatch.app import load, utc_now
    from ragwatch.app.jobs import folder_of, perform

    def run() -> int:
        settings = load(config)
        return folder_of(settings).job(name).run(settings, utc_now())

    return perform(run).to_json()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
