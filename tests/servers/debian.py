"""Programs from Debian's packages, for tests that need one and a machine that may not have it.

`RAGWATCH_TEST_PROMTOOL` and the like name a program to use instead; else the one on PATH; else the package is fetched
with apt's own checks and unpacked, not installed, in `.cache/` of the checkout. No rights are needed for that.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.qdrant import REPOSITORY, ServerMissingError


def program(name: str, package: str) -> Path:
    """Return the path of a program, fetching the package that has it if need be. Safe to call from many processes.

    Raises `ServerMissingError` saying what to install.
    """
    found = os.environ.get(f"RAGWATCH_TEST_{name.upper()}") or shutil.which(name)
    if found:
        return Path(found)
    cache = Path(os.environ.get("RAGWATCH_TEST_CACHE", REPOSITORY / ".cache"))
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"debian-{package}"
    with (cache / f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "usr/bin" / name).exists():
            _fetch(package, root)
    return root / "usr/bin" / name


def _fetch(package: str, root: Path) -> None:
    lists = root / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    # Lists of our own: nobody but root may write the system's, and there may be none yet.
    options = ["-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User=", "-q"]
    try:
        subprocess.run(["apt-get", *options, "update"], check=True, capture_output=True, cwd=root)
        subprocess.run(["apt-get", *options, "download", package], check=True, capture_output=True, cwd=root)
        for file in root.glob(f"{package}_*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(file), str(root)], check=True, capture_output=True)
            file.unlink()
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", b"") or b""
        raise ServerMissingError(
            f"package {package} cannot be fetched ({error}): {detail.decode(errors='replace').strip()[-300:]}; "
            f"install it, or name its program in RAGWATCH_TEST_..."
        ) from None
    finally:
        shutil.rmtree(lists, ignore_errors=True)
