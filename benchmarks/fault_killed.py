"""Repair by a configuration, and die by SIGKILL at a step boundary. Called by `faults.py` in a process of its own."""

import os
import signal
import sys
from pathlib import Path

from ragwatch import Limits, open_pipeline, reindex


def main(config: Path, step: str) -> None:
    """Die when `step` is reached; exit 0 where it never was."""

    def checkpoint(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_pipeline(config, writing=True) as pipeline:
        reindex(pipeline, limits=Limits(), holder="killed", checkpoint=checkpoint)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
