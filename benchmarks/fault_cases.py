"""What `faults.py` tries: faults of the index, its labels, the documents and the state. Each is one function."""

import os
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qdrant_client import models

from benchmarks.fault_world import DIMENSION, SUBJECTS, World, page

REPAIR = ("reindex", "--deep", "--yes")
LOOK = ("scan", "--deep")


def nothing(_: World) -> None:
    """What a person does where nothing has to be mended by hand."""


@dataclass(frozen=True)
class Case:
    """A fault, what is run while it is there, how it is mended, and how it must end."""

    group: str
    name: str
    inject: Callable[[World], None]
    commands: tuple[tuple[str, ...], ...] = (LOOK,)
    """Run one after the other while the fault is there."""
    mend: Callable[[World], None] = nothing
    """What somebody does about the cause before the repair."""
    repair: tuple[str, ...] = REPAIR
    ends: int = 0
    """Exit code of the repair. 0: the index then equals a fresh build. Else something is still set aside."""
    stays: int | None = None
    """Exit code of a scan after that, where it is not that of the repair: what is somebody else's stays."""


# -- points ------------------------------------------------------------------------------------------------------------


def _record(world: World, document: str = "refunds.md", position: int = 1) -> models.Record:
    return next(
        record
        for record in world.points().values()
        if (record.payload or {}).get("document") == document and (record.payload or {}).get("position") == position
    )


def _upsert(world: World, point_id: Any, payload: Mapping[str, Any], vector: Any) -> None:
    client = world.client
    client.upsert(world.collection, [models.PointStruct(id=point_id, payload=dict(payload), vector=vector)], wait=True)
    client.close()


def _delete(world: World, document: str | None, position: int | None = None) -> None:
    chosen = [
        record.id
        for record in world.points().values()
        if (document is None or (record.payload or {}).get("document") == document)
        and (position is None or (record.payload or {}).get("position") == position)
    ]
    client = world.client
    client.delete(world.collection, models.PointIdsList(points=chosen), wait=True)
    client.close()


def _drop(world: World) -> None:
    client = world.client
    client.delete_collection(world.collection)
    client.close()


def _other_vector(world: World) -> None:
    one, other = _record(world), _record(world, "keys.md")
    _upsert(world, one.id, one.payload or {}, other.vector)


def _zero_vector(world: World) -> None:
    one = _record(world)
    _upsert(world, one.id, one.payload or {}, [0.0] * DIMENSION)


def _payload(change: Mapping[str, Any]) -> Callable[[World], None]:
    def inject(world: World) -> None:
        one = _record(world)
        _upsert(world, one.id, {**(one.payload or {}), **change}, one.vector)

    return inject


def _overwritten(world: World) -> None:
    one = _record(world)
    _upsert(world, one.id, {"text": "Refunds are never paid."}, one.vector)


def _duplicate(world: World) -> None:
    one = _record(world)
    _upsert(world, str(uuid.uuid4()), one.payload or {}, one.vector)


def _counts_right_by_chance(world: World) -> None:
    _duplicate(world)
    gone = _record(world, position=0)
    client = world.client
    client.delete(world.collection, models.PointIdsList(points=[gone.id]), wait=True)
    client.close()


def _foreign(world: World) -> None:
    _upsert(world, str(uuid.uuid4()), {"note": "mine"}, _record(world).vector)


def _index_dropped(world: World) -> None:
    client = world.client
    client.delete_payload_index(world.collection, "_ragwatch.rev", wait=True)
    client.close()


def _old_version_back(world: World) -> None:
    """As after a restored backup: an edit was indexed, and the index is as it was before."""
    before = world.points()
    world.write("refunds.md", page("refunds", version=2))
    assert world.ragwatch(*REPAIR).code == 0
    _delete(world, None)
    for record in before.values():
        _upsert(world, record.id, record.payload or {}, record.vector)


POINTS = [
    Case("index", "a point deleted", lambda w: _delete(w, "refunds.md", 1)),
    Case("index", "all points of a document deleted", lambda w: _delete(w, "refunds.md")),
    Case("index", "every point deleted", lambda w: _delete(w, None)),
    Case("index", "the collection deleted", _drop),
    Case("index", "a vector replaced by another document's", _other_vector),
    Case("index", "a vector of zeros", _zero_vector),
    Case("index", "a text changed under its labels", _payload({"text": "Refunds are never paid."})),
    Case("index", "a title changed", _payload({"title": "Nonsense"})),
    Case("index", "metadata added", _payload({"metadata": {"team": "x"}})),
    Case("index", "a point overwritten by another writer", _overwritten),
    Case("index", "a point copied to another id", _duplicate),
    Case("index", "one point copied, another deleted: the counts agree", _counts_right_by_chance),
    Case("index", "a point of another program", _foreign, stays=1),
    Case("index", "a payload index dropped", _index_dropped),
    Case("index", "an old backup restored", _old_version_back),
]

# -- labels ------------------------------------------------------------------------------------------------------------

Labels = dict[str, Any]


def _relabelled(change: Callable[[Labels], Any]) -> Callable[[World], None]:
    def inject(world: World) -> None:
        one = _record(world)
        payload = dict(one.payload or {})
        payload["_ragwatch"] = change(dict(payload["_ragwatch"]))
        _upsert(world, one.id, payload, one.vector)

    return inject


def _extra(labels: Any) -> Callable[[World], None]:
    def inject(world: World) -> None:
        payload = {"text": "A text that nobody wrote.", "_ragwatch": labels}
        _upsert(world, str(uuid.uuid4()), payload, _record(world).vector)

    return inject


def _without(key: str) -> Callable[[Labels], Any]:
    return lambda labels: {name: value for name, value in labels.items() if name != key}


def _with(**change: Any) -> Callable[[Labels], Any]:
    return lambda labels: {**labels, **change}


LABELS = [
    *(
        Case("labels", f"`{key}` missing", _relabelled(_without(key)))
        for key in ("doc", "rev", "digest", "n", "encoder")
    ),
    Case("labels", "the sketch missing", _relabelled(_without("sketch"))),
    Case("labels", "`rev` a number", _relabelled(_with(rev=7))),
    Case("labels", "`rev` a list of the right one", _relabelled(lambda one: {**one, "rev": [one["rev"]]})),
    Case("labels", "a revision that does not exist", _relabelled(_with(rev="0" * 24 + ".3"))),
    Case("labels", "a revision without a number", _relabelled(_with(rev="abc"))),
    Case("labels", "`doc` a number", _relabelled(_with(doc=7))),
    Case("labels", "`doc` of another document", _relabelled(_with(doc="docs:keys.md"))),
    Case("labels", "`doc` of a source that does not exist", _relabelled(_with(doc="wiki:refunds.md"))),
    Case("labels", "`digest` an object", _relabelled(_with(digest={"sha": 1}))),
    Case("labels", "`n` a text", _relabelled(_with(n="0"))),
    Case("labels", "`n` true", _relabelled(_with(n=True))),
    Case("labels", "`encoder` a list", _relabelled(lambda one: {**one, "encoder": [one["encoder"]]})),
    Case("labels", "labels stripped", _relabelled(lambda _: {})),
    Case("labels", "labels null", _relabelled(lambda _: None)),
    Case("labels", "labels a text", _relabelled(lambda _: "docs:refunds.md")),
    Case("labels", "labels in a list", _relabelled(lambda one: [one])),
    Case(
        "labels", "an extra point of a document that is gone, `rev` a number", _extra({"doc": "docs:gone.md", "rev": 7})
    ),
    Case("labels", "an extra point with labels of numbers", _extra({"doc": 1, "rev": 2})),
    Case("labels", "an extra point with an empty label", _extra({})),
    Case("labels", "an extra point with a document that exists and nothing else", _extra({"doc": "docs:keys.md"})),
]

# -- documents ---------------------------------------------------------------------------------------------------------

LOOKS = (("scan",), LOOK, ("plan", "--check"))
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n"
SIGN_IN = "# Sign in\n\nYour session has ended. Sign in with your account to go on reading this page.\n"


def _all_become(text: Callable[[int], str]) -> Callable[[World], None]:
    def inject(world: World) -> None:
        for place, subject in enumerate(SUBJECTS):
            world.write(f"{subject}.md", text(place))

    return inject


def _documents_back(world: World) -> None:
    for subject in SUBJECTS:
        world.write(f"{subject}.md", page(subject))


def _write(name: str, content: str | bytes) -> Callable[[World], None]:
    def inject(world: World) -> None:
        data = content.encode() if isinstance(content, str) else content
        (world.docs / name).write_bytes(data)

    return inject


def _within_the_grain(world: World) -> None:
    """The same size and the same modification time as the version that was read a moment ago."""
    path = world.docs / "refunds.md"
    before = path.stat()
    path.write_text(page("refunds").replace("day 7", "day 8"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _folder_gone(world: World) -> None:
    world.docs.rename(world.folder / "elsewhere")


def _folder_back(world: World) -> None:
    (world.folder / "elsewhere").rename(world.docs)


def _rename(world: World) -> None:
    (world.docs / "refunds.md").rename(world.docs / "repayments.md")


DOCUMENTS = [
    Case("documents", "edited", lambda w: w.write("refunds.md", page("refunds", version=2)), LOOKS),
    Case("documents", "edited within the clock's grain, same size", _within_the_grain, LOOKS),
    Case("documents", "added", lambda w: w.write("new.md", page("news")), LOOKS),
    Case("documents", "removed", lambda w: (w.docs / "refunds.md").unlink(), LOOKS),
    Case("documents", "renamed", _rename, LOOKS),
    Case("documents", "emptied", _write("refunds.md", ""), (*LOOKS, REPAIR)),
    Case("documents", "not text", _write("refunds.md", b"\x00\x01\xff\xfe" * 64), (*LOOKS, REPAIR), ends=3),
    Case(
        "documents",
        "a pointer of large-file storage",
        _write("refunds.md", POINTER.format(oid="a" * 64)),
        (*LOOKS, REPAIR),
        ends=3,
    ),
    Case(
        "documents",
        "all replaced by pointers",
        _all_become(lambda place: POINTER.format(oid=f"{place:064d}")),
        (*LOOKS, REPAIR),
        mend=_documents_back,
    ),
    Case(
        "documents",
        "all replaced by a sign-in page",
        _all_become(lambda _: SIGN_IN),
        (*LOOKS, REPAIR),
        mend=_documents_back,
    ),
    Case("documents", "all emptied", _all_become(lambda _: ""), (*LOOKS, REPAIR), mend=_documents_back),
    Case(
        "documents",
        "a link to nowhere among them",
        lambda w: (w.docs / "link.md").symlink_to("nowhere.md"),
        (*LOOKS, REPAIR),
        ends=3,
    ),
    Case("documents", "a pipe among them", lambda w: os.mkfifo(w.docs / "pipe.md"), (*LOOKS, REPAIR), ends=3),
    Case("documents", "the folder gone", _folder_gone, (*LOOKS, REPAIR), mend=_folder_back),
]

# -- state -------------------------------------------------------------------------------------------------------------


def _state_lost(world: World) -> None:
    for path in world.folder.glob("state.db*"):
        path.unlink()


def _state_lost_and_a_document(world: World) -> None:
    _state_lost(world)
    (world.docs / "refunds.md").unlink()


def _state_garbage(world: World) -> None:
    _state_lost(world)
    (world.folder / "state.db").write_bytes(b"this is no database" * 100)


def release_leases(world: World) -> None:
    """As if a minute had passed since the holder died."""
    with sqlite3.connect(world.folder / "state.db") as database:
        database.execute("UPDATE ragwatch_lease SET holder = NULL")


STATE = [
    Case("state", "the state database lost", _state_lost, LOOKS),
    Case(
        "state",
        "the state database lost, and a document removed meanwhile",
        _state_lost_and_a_document,
        LOOKS,
    ),
    Case("state", "the state database is garbage", _state_garbage, LOOKS, mend=_state_lost),
]
