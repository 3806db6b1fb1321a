"""The documentation of Django releases: real edits, release by release, for anybody to download."""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from benchmarks.measure import CACHE, note

VERSIONS = ("4.1", "4.2", "5.0", "5.1", "5.2")

_DOCS = re.compile(r"^[^/]+/docs/(.+\.txt)$")


def docs_folder(version: str) -> Path:
    """Return the folder with `docs/**/*.txt` of one release, downloaded and unpacked on first use."""
    target = CACHE / "django" / version
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            archive = _download(version, Path(folder))
            unpacked = Path(folder) / "docs"
            _unpack(archive, unpacked)
            unpacked.rename(target)
    return target


def _download(version: str, folder: Path) -> Path:
    note(f"downloading Django {version}")
    options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, f"Django=={version}", "--dest", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tar.gz"))
    if found.returncode or len(archives) != 1:
        raise SystemExit(f"Django {version} cannot be downloaded: {' '.join(command)}\n{found.stderr}")
    return archives[0]


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            found = _DOCS.match(member.name)
            content = tar.extractfile(member) if found and member.isfile() else None
            if found and content and ".." not in found[1].split("/"):
                path = target / found[1]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())


def lay(version: str, folder: Path) -> None:
    """Make `folder` hold this release, as a checkout would: files that are equal stay untouched."""
    source = docs_folder(version)
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for path in [one for one in folder.rglob("*") if one.is_file()]:
        if path.relative_to(folder) not in wanted:
            path.unlink()
    for name in sorted(wanted):
        path = folder / name
        content = (source / name).read_bytes()
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for path in sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True):
        if not any(path.iterdir()):
            shutil.rmtree(path)
