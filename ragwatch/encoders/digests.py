"""SHA-256 of large files, computed once per content as far as size and modification time tell."""

import contextlib
import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

CACHE_FILE = "encoder-digests.json"


class FileDigests:
    """Digests by path, size and modification time: remembered in this process and, with a folder, between runs.

    What is remembered between runs is for reading an identity quickly. `verified` never trusts it, and corrects it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / CACHE_FILE if folder else None

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file in hex. Raises `OSError`."""
        status = path.stat()
        entry = self._read().get(str(path))
        if isinstance(entry, list) and len(entry) == 3 and entry[:2] == [status.st_size, status.st_mtime_ns]:
            return str(entry[2])
        return self.verified(path)

    def verified(self, path: Path) -> str:
        """Return the SHA-256 as read by this process itself. Raises `OSError`."""
        status = path.stat()
        digest = _sha256(path, status.st_size, status.st_mtime_ns)
        entry, known = [status.st_size, status.st_mtime_ns, digest], self._read()
        if known.get(str(path)) != entry:
            self._write({**known, str(path): entry})
        return digest

    def _read(self) -> dict[str, object]:
        try:
            known = json.loads(self._file.read_text("utf-8")) if self._file else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self, known: dict[str, object]) -> None:
        """Best effort: a read-only cache folder costs time, nothing else."""
        if self._file is None:
            return
        temporary = self._file.with_name(f".{CACHE_FILE}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(known, indent=1), "utf-8")
            temporary.replace(self._file)


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified_ns: int) -> str:  # noqa: ARG001  size and time are the cache's key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
