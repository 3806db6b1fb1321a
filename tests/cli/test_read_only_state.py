"""What only reads the state works where the state can only be read."""

import json
import shutil
from pathlib import Path

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace
from tests.state.test_reading import close, folder, reader

COMMANDS = ("status --json", "incidents --json", "history --json", "report --json", "freshness --json", "policy --json")
__all__ = ["folder"]


def test_reading_commands_work_on_a_state_that_may_not_be_written(indexed: Workspace, folder: Path) -> None:
    indexed.write("new.md", "# New\n\nText.\n")
    assert indexed.ragwatch("scan").code == ExitCode.FINDINGS
    expected = {command: indexed.ragwatch(*command.split()) for command in COMMANDS}
    for name in ("ragwatch.toml", "state.db"):
        shutil.copyfile(indexed.folder / name, folder / name)
    close(folder)
    for command in COMMANDS[:4]:
        done = reader("ragwatch", *command.split(), "--config", str(folder / "ragwatch.toml"))
        assert done.returncode == expected[command].code, done.stderr
        shown, known = json.loads(done.stdout), expected[command].value
        assert [shown.get(name) for name in ("collection", "status", "runs")] == [
            known.get(name) for name in ("collection", "status", "runs")
        ]
        assert len(shown.get("incidents", ())) == len(known.get("incidents", ()))
    assert reader("ragwatch", "scan", "--config", str(folder / "ragwatch.toml")).returncode == ExitCode.INCOMPLETE
