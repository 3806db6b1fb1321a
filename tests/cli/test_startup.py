"""What a command does not need, it does not import: start-up stays short because it stays small."""

import subprocess
import sys

import pytest

from tests.cli.conftest import Workspace

HEAVY = ("torch", "transformers", "sentence_transformers", "qdrant_client", "sqlmodel", "sqlalchemy", "alembic")


def imported(*arguments: str) -> set[str]:
    script = (
        "import sys\n"
        "from ragwatch.cli.commands import run\n"
        f"sys.argv = ['ragwatch', *{arguments!r}]\n"
        "run()\n"
        "sys.stderr.write('\\n' + ' '.join(name for name in sys.modules if '.' not in name))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    assert not imported("--help") & {*HEAVY, "numpy", "pydantic", "httpx", "qdrant_edge"}


def test_status_imports_nothing_heavy(indexed: Workspace) -> None:
    assert not imported("status") & {*HEAVY, "numpy", "httpx", "qdrant_edge"}


@pytest.mark.parametrize("command", ["scan", "plan"])
def test_a_comparison_loads_no_model(indexed: Workspace, command: str) -> None:
    assert not imported(command) & {"torch", "transformers", "sentence_transformers"}
