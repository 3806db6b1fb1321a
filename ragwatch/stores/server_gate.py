"""The fence as the server keeps it: writes are addressed to an alias, and whoever writes next takes that alias away.

A process that was stopped between the last question to the state database and the first byte of its request addresses,
when it goes on, a name that no longer exists, and the server refuses the request whole. Nothing slips through: at that
last question the lease was ours, so the alias, made before, was there; whoever took the lease did so later, looked at
the aliases after that, saw ours, and took it away before it began to compare. An alias that arrives late leads nowhere,
because the next write asks the state database first.

Deleting a collection is the one write that cannot be addressed to an alias.

An alias is looked up when a request arrives. It is in no log of a collection, so that no write depends on it again when
a log is replayed.
"""

import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from qdrant_client import QdrantClient, models

from ragwatch.errors import LeaseLostError, NotFoundError, RagwatchError
from ragwatch.stores.server_calls import NotPermittedError

T = TypeVar("T")

PREFIX = "ragwatch-writer-"

log = logging.getLogger("ragwatch.stores")


class Caller(Protocol):
    """What asks the server; what `writes` asks the state database first."""

    def __call__(
        self, request: Callable[[QdrantClient], T], doing: str, *, repeatable: bool = True, writes: bool = False
    ) -> T: ...


class WriteGate:
    """The alias through which one process writes to one collection, while it is fenced."""

    def __init__(self, collection: str, call: Caller) -> None:
        self._collection = collection
        self._call = call
        self._real = collection
        self._alias = ""
        self._wanted = False

    @property
    def target(self) -> str:
        """What writes are addressed to."""
        return self._alias or self._collection

    def open(self) -> None:
        """Take the collection over. It stays shut where there is no such collection yet, or the key may do no more.

        Raises `LeaseLostError` where the lease is lost meanwhile.
        """
        self._wanted = True
        aliases = all_aliases(self._call)
        self._real = real = aliases.get(self._collection, self._collection)
        mine = PREFIX + uuid.uuid4().hex
        try:
            self._change(real, [*map(_delete, _gates(aliases, real)), _create(mine, real)])
        except NotFoundError:
            return
        except NotPermittedError:
            log.warning("the API key may not manage aliases: writes are fenced by the state database alone")
            self._wanted = False
            return
        self._alias = mine

    def ready(self) -> None:
        """Open it where that was wanted before there was a collection."""
        if self._wanted and not self._alias:
            self.open()

    def close(self) -> None:
        self._wanted = False
        if self._alias:
            alias, self._alias = self._alias, ""
            self._take_away(alias)

    def forget(self) -> None:
        """The collection is gone, and the alias with it; should it come again, it is opened again."""
        self._alias = ""

    def guard(self) -> list[models.AliasOperations]:
        """Return what, put before other changes of aliases in one request, fails it whole where the gate is lost."""
        if not self._alias:
            return []
        same = models.RenameAlias(old_alias_name=self._alias, new_alias_name=self._alias)
        return [models.RenameAliasOperation(rename_alias=same)]

    def explain(self) -> None:
        """Say why the alias is not there: raise `LeaseLostError`, or `NotFoundError` where the collection is gone."""
        if not self._alias or self._alias in all_aliases(self._call):
            return
        if not self._call(lambda client: client.collection_exists(self._real), "look for the collection"):
            raise NotFoundError(f"collection {self._real!r} was deleted while it was being changed")
        raise LeaseLostError(
            f"another process has begun to change collection {self._real!r}",
            hint="see what it does: ragwatch history",
        )

    def _change(self, collection: str, operations: Sequence[models.AliasOperations]) -> None:
        self._call(
            lambda client: client.update_collection_aliases(operations),
            f"take over collection {collection!r}",
            writes=True,
        )

    def _take_away(self, alias: str) -> None:
        """Leave nothing behind; where that fails, who writes next does it."""
        try:
            self._call(lambda client: client.update_collection_aliases([_delete(alias)]), "leave the collection")
        except RagwatchError as error:
            log.info("%s", error.fact)


def all_aliases(call: Caller) -> dict[str, str]:
    """Return every alias of the server, ours included, and the collection that it names."""
    found = call(lambda client: client.get_aliases(), "list the aliases").aliases
    return {alias.alias_name: alias.collection_name for alias in found}


def without_gates(aliases: dict[str, str]) -> dict[str, str]:
    return {alias: to for alias, to in aliases.items() if not alias.startswith(PREFIX)}


def _gates(aliases: dict[str, str], collection: str) -> list[str]:
    return sorted(alias for alias, to in aliases.items() if to == collection and alias.startswith(PREFIX))


def _create(alias: str, collection: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=alias, collection_name=collection))


def _delete(alias: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
