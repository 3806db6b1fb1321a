"""The folder of an embedded store: which collections and aliases there are, and what they say about themselves.

    <root>/collections/<name>/collection.json   dimension, distance, vector name, manifest
    <root>/collections/<name>/shard/            the engine's own files
    <root>/aliases.json

A collection exists when its folder does: it is built beside its place and renamed into it, and renamed away
before it is deleted. The JSON files are replaced atomically.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ragwatch.errors import ConfigError, NotFoundError, StoreError
from ragwatch.index.spec import Distance, Manifest
from ragwatch.stores.embedded_files import busy, files, is_locked, locked, read_json, sync_folder, write_json

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Record:
    """What a collection says about itself."""

    dimension: int
    distance: Distance
    vector_name: str
    manifest: Manifest | None
    sparse: tuple[str, ...] = ()
    """Names of its sparse vectors."""


def check_name(name: str) -> str:
    """Return `name`. Raises `ConfigError` unless it can be the name of a folder everywhere."""
    if not _NAME.fullmatch(name):
        hint = "use at most 128 letters, digits, dots, dashes and underscores, not beginning with a dot or a dash"
        raise ConfigError(f"{name!r} cannot be the name of an embedded collection or alias", hint=hint)
    return name


class StoreFolder:
    """One embedded store's folder; it need not exist before something is created in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._collections = root / "collections"
        self._aliases = root / "aliases.json"

    # -- collections -------------------------------------------------------------------------------------------

    def collection(self, name: str) -> Path:
        """Return where the collection of this name is or would be."""
        return self._collections / check_name(name)

    def resolve(self, name: str) -> str:
        """Return the collection that `name`, a collection's or an alias's, stands for."""
        return name if self.collection(name).is_dir() else self.aliases().get(name, name)

    def record(self, name: str) -> Record | None:
        """Return what the collection says about itself, None if there is none. Raises `StoreError` if damaged."""
        folder = self.collection(name)
        if not folder.is_dir():
            return None
        path = folder / "collection.json"
        try:
            found = read_json(path)
            if found is None:
                raise ValueError("it is missing")
            if found.get("format") != FORMAT:
                raise ValueError(f"format {found.get('format')!r} is unknown")
            manifest, sparse = found.get("manifest"), found.get("sparse_vectors")
            return Record(
                dimension=int(str(found["dimension"])),
                distance=Distance(str(found["distance"])),
                vector_name=str(found["vector_name"]),
                manifest=Manifest.from_json(manifest) if isinstance(manifest, dict) else None,
                sparse=tuple(str(one) for one in sparse) if isinstance(sparse, list) else (),
            )
        except (ValueError, KeyError) as error:
            hint = "restore the folder from a backup, or delete it and run ragwatch reindex"
            raise StoreError(f"{path} cannot be read: {error}", hint=hint) from None

    def write_record(self, folder: Path, record: Record) -> None:
        write_json(
            folder / "collection.json",
            {
                "format": FORMAT,
                "dimension": record.dimension,
                "distance": str(record.distance),
                "vector_name": record.vector_name,
                "manifest": record.manifest.to_json() if record.manifest else None,
                **({"sparse_vectors": list(record.sparse)} if record.sparse else {}),
            },
        )

    @contextmanager
    def building(self, name: str) -> Iterator[Path]:
        """Give a folder to build a collection in, which takes its place when the block ends without an error.

        Raises `StoreError` where the name is taken.
        """
        target = self.collection(name)
        with files(self.root, "create a collection in"):
            self._collections.mkdir(parents=True, exist_ok=True)
            with locked(self.root):
                if target.is_dir() or name in self.aliases():
                    raise StoreError(f"there is already a collection or alias {name!r} in {self.root}")
                self._sweep(name)
                built = self._collections / f".{name}.new"
                built.mkdir()
                try:
                    yield built
                    built.rename(target)
                finally:
                    self._sweep(name)
                sync_folder(self._collections)

    def remove(self, name: str) -> None:
        """Delete the collection and its aliases, if it exists. Its shard must be closed."""
        folder = self.collection(name)
        if not folder.is_dir():
            return
        with files(folder, "delete"), locked(self.root):
            if is_locked(folder / "shard"):
                raise busy(folder)
            self._sweep(name)
            folder.rename(self._collections / f".{name}.dropped")
            sync_folder(self._collections)
            self._write_aliases({alias: to for alias, to in self.aliases().items() if to != name})
            self._sweep(name)

    def _sweep(self, name: str) -> None:
        """Delete what a killed creation or deletion of this name left behind."""
        for suffix in ("new", "dropped"):
            shutil.rmtree(self._collections / f".{name}.{suffix}", ignore_errors=True)

    # -- aliases -----------------------------------------------------------------------------------------------

    def aliases(self) -> dict[str, str]:
        """Return every alias and its collection. Raises `StoreError` if the file is damaged."""
        try:
            found = read_json(self._aliases) or {}
        except ValueError as error:
            hint = 'it holds {"alias": "collection", ...}; mend it, or delete it and switch the aliases again'
            raise StoreError(f"{self._aliases} cannot be read: {error}", hint=hint) from None
        return {alias: str(collection) for alias, collection in found.items()}

    def switch_alias(self, alias: str, collection: str) -> None:
        """Make `alias` name `collection`, atomically."""
        check_name(alias)
        if not self.collection(collection).is_dir():
            raise NotFoundError(f"there is no collection {collection!r} in {self.root}")
        if self.collection(alias).is_dir():
            raise StoreError(f"{alias!r} is the name of a collection and cannot be an alias too")
        with files(self.root, "write the aliases of"), locked(self.root):
            self._write_aliases({**self.aliases(), alias: collection})

    def _write_aliases(self, aliases: dict[str, str]) -> None:
        if aliases or self._aliases.exists():
            write_json(self._aliases, {alias: aliases[alias] for alias in sorted(aliases)})
