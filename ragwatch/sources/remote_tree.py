"""Any fsspec file system as a `Tree`: object stores, SFTP, archives, memory.

Each tree connects anew and keeps no listing: fsspec caches instances and listings for the life of the process,
and a daemon would go on seeing yesterday's files.
"""

import io
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, BinaryIO, cast

from fsspec.core import OpenFile, url_to_fs

from ragwatch.errors import ConfigError, MissingExtraError
from ragwatch.sources.settled import REMOTE_STEP_S, Clock, seconds, wall_clock
from ragwatch.sources.trees import DamagedError, Mark, Node, NodeKind, OutOfReachError, TooLargeError
from ragwatch.words.addresses import Redactor

_BUFFER = 1 << 16

_ETAGS = ("ETag", "etag", "md5Hash", "sha", "CRC")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified")
"""Not `created`: some backends keep it when a file is overwritten."""

_KINDS = {"file": NodeKind.FILE, "directory": NodeKind.FOLDER}

_CLIENT_ERRORS = (
    ("aiohttp", "ClientError"),
    ("azure.core.exceptions", "AzureError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("paramiko.ssh_exception", "SSHException"),
    ("requests.exceptions", "RequestException"),
)
"""What backends let through beside `OSError`. Looked up only once loaded: none of them is imported for this."""

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)


class RemoteTree:
    """A folder at an fsspec URL; `options` go to its file system."""

    def __init__(self, url: str, options: Mapping[str, object], redact: Redactor, clock: Clock = wall_clock) -> None:
        self._url = url
        self._clock = clock
        self._options = dict(options)
        self._redact = redact
        self._archive_was = ""
        self._written: float | None = None

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        with self._translated():
            try:
                system, root = url_to_fs(self._url, skip_instance_cache=True, **self._options)
            except ImportError as error:
                raise MissingExtraError(
                    f"{self._redact.url} needs a package that is not installed: {error.name or 'see the hint'}",
                    hint="install the fsspec backend of this protocol, for example s3fs, gcsfs, adlfs or paramiko",
                ) from None
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{self._redact.url}: {self._redact(str(error))}") from None
            self._archive_was = _archive_identity(system)
            self._written = _archive_time(system)
        return system, str(root).rstrip("/") or str(root)

    @property
    def concurrent(self) -> bool:
        return bool(self._opened[0].async_impl)

    def fresh(self) -> "RemoteTree":
        return RemoteTree(self._url, self._options, self._redact, self._clock)

    def check(self) -> None:
        with self._translated():
            if _archive_identity(self._opened[0]) != self._archive_was:
                del self._opened
            system, root = self._opened
            system.invalidate_cache()
            if not system.exists(root) and not system.ls(root, detail=False):
                raise FileNotFoundError(root)

    def listing(self, folder: str) -> list[Node]:
        system, _ = self._opened
        path = self._path(folder)
        with self._translated():
            found = system.ls(path, detail=True)
            # Else the backend keeps every listing of the walk, and answers later questions from it.
            system.invalidate_cache()
        nodes = {}
        for info in found:
            full = str(info["name"]).rstrip("/")
            if full.strip("/") != path.strip("/"):
                name = full.rpartition("/")[2]
                nodes[name] = self._node(name, f"{folder}/{name}" if folder else name, info)
            elif info["type"] == "file" and len(found) == 1:
                raise NotADirectoryError(path)
        return [nodes[name] for name in sorted(nodes)]

    def _node(self, name: str, path: str, info: Mapping[str, Any]) -> Node:
        kind = _KINDS.get(info["type"])
        if kind is None:
            # SFTP lists links as links. One to a folder is not followed: loops could not be told.
            info = self._info_or_none(path) or info
            kind = {"file": NodeKind.FILE, "other": NodeKind.OTHER}.get(info["type"], NodeKind.DANGLING)
        return Node(name, kind, False, info)

    def mark(self, node: Node) -> Mark:
        return self._mark(cast(Mapping[str, object], node.raw))

    def mark_at(self, path: str) -> Mark:
        return self._mark(self._info(path))

    def _mark(self, info: Mapping[str, object]) -> Mark:
        identity, changed = _identity(info)
        if changed is None:
            return Mark(identity, bool(identity))
        moment = seconds(changed)
        return Mark(identity, moment is not None and moment < self._seen_at() - REMOTE_STEP_S)

    def _seen_at(self) -> float:
        """Return as of when a listing is: inside of an archive, that is when the archive was written."""
        return self._clock() if self._written is None else min(self._written, self._clock())

    def follows(self, folder: str) -> bool:  # noqa: ARG002 - no links here
        return True

    def kind(self, path: str) -> NodeKind | None:
        info = self._info_or_none(path)
        return None if info is None else _KINDS.get(info["type"], NodeKind.OTHER)

    def read(self, path: str, limit: int) -> bytes:
        size = self._info(path).get("size")
        if isinstance(size, int) and size > limit:
            raise TooLargeError(size)
        with self._translated(content=True):
            content = bytes(self._opened[0].cat_file(self._path(path)))
        if len(content) > limit:
            raise TooLargeError(len(content))
        return content

    def open(self, path: str) -> BinaryIO:
        with self._translated(content=True):
            file = self._opened[0].open(self._path(path), "rb")
            return cast(BinaryIO, io.BufferedReader(file, _BUFFER))

    def translated(self) -> AbstractContextManager[None]:
        return self._translated()

    def _info(self, path: str) -> Mapping[str, Any]:
        with self._translated():
            return cast(Mapping[str, Any], self._opened[0].info(self._path(path)))

    def _info_or_none(self, path: str) -> Mapping[str, Any] | None:
        try:
            return self._info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _path(self, path: str) -> str:
        root = self._opened[1]
        joint = "" if not root or not path or root.endswith("/") else "/"
        return f"{root}{joint}{path}"

    @contextmanager
    def _translated(self, *, content: bool = False) -> Iterator[None]:
        """Keep the kind of an error and drop what it quotes: messages of clients may hold URLs and keys."""
        try:
            yield
        except (ConfigError, OutOfReachError, DamagedError, TooLargeError):
            raise
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            base = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
            raise base() from None
        except _client_errors() as error:
            raise OutOfReachError(self._describe(error)) from None
        except _DAMAGED as error:
            raise (DamagedError if content else OutOfReachError)(self._describe(error)) from None

    def _describe(self, error: BaseException) -> str:
        text = self._redact(" ".join(str(error).split()))[:200]
        return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _client_errors() -> tuple[type[BaseException], ...]:
    loaded = [(sys.modules.get(module), name) for module, name in _CLIENT_ERRORS]
    return (OSError, *(getattr(module, name) for module, name in loaded if module is not None))


def _archive_identity(system: Any) -> str:
    """Return what changes when the archive is replaced that `system` is the inside of; "" where it is no archive.

    An open archive keeps the table of contents that it had when it was opened.
    """
    archive = getattr(system, "of", None)
    if not isinstance(archive, OpenFile):
        return ""
    archive.fs.invalidate_cache()
    info = archive.fs.info(archive.path)
    return f"{_identity(info)[0]} {info.get('ino')}"


def _archive_time(system: Any) -> float | None:
    """Return when the archive was written that `system` is the inside of, None where it is none or does not tell."""
    archive = getattr(system, "of", None)
    if not isinstance(archive, OpenFile):
        return None
    info = archive.fs.info(archive.path)
    return next((seconds(info[key]) for key in _TIMES if info.get(key)), None)


def _identity(info: Mapping[str, object]) -> tuple[str, object]:
    """Return (what changes with the content, "" if nothing does; the time of change where it is made of that)."""
    size = info.get("size")
    for key in _ETAGS:
        if info.get(key):
            return f"{size}-{info[key]}", None
    for key in _TIMES:
        if info.get(key):
            return f"{size}-{info[key]}", info[key]
    return "", None
