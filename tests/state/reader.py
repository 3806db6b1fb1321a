"""Reads a state database as a user who may not write it, and says what it found; a process of its own for that."""

import json
import sys
from pathlib import Path

from ragwatch.errors import StateReadOnlyError
from ragwatch.state import open_state
from tests.verbs.bench import START


def main(urls: list[str]) -> None:
    found = []
    for url in urls:
        state = open_state(url, reading=True)
        before = sorted(one.name for one in Path(url.removeprefix("sqlite:///")).parent.iterdir())
        runs = [run.verb for run in state.runs(collection="docs", limit=100)]
        try:
            state.start_run("scan", "docs", START)
            refused = ""
        except StateReadOnlyError as error:
            refused = error.fact
        state.close()
        found.append({"runs": sorted(runs), "refused": refused, "beside": before})
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
