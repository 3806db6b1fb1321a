"""The verbs themselves, and what a watch makes of their runs."""

from dataclasses import replace

import pytest

from ragwatch.audit import audit
from ragwatch.errors import StoreUnreachableError
from ragwatch.health.lifecycle import Rules
from ragwatch.index.points import Key
from ragwatch.ports import CollectionInfo, Where
from ragwatch.reindex import Selection
from ragwatch.scan import scan
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench
from tests.verbs.watching import HOUR, RULES, Watching

TEXT = "# Refunds\n\nRefunds are paid within thirty days of the request.\n"


class Rig:
    """A bench whose runs are watched, each at its own hour."""

    def __init__(self) -> None:
        ledger = MemoryState()
        self.docs = Watching(ledger, rules=replace(RULES, rules=Rules(reopen_within=HOUR, confirm=1)))
        self.bench = Bench(MemoryStore(), {"refunds.md": TEXT}, state=ledger, clock=lambda: self.docs.now)
        self.bench.reindex()

    def look(self) -> list[str]:
        """Watch, let an hour pass, and return the causes that are open."""
        self.docs.watch()
        self.docs.later(HOUR)
        return self.docs.open


def test_an_edit_is_behind_until_it_is_repaired() -> None:
    rig = Rig()
    rig.bench.documents["refunds.md"] = TEXT.replace("thirty", "ten")
    rig.bench.scan()
    assert rig.look() == ["index_behind"]
    rig.bench.reindex()
    assert rig.look() == []
    assert rig.docs.told() == [("opened", "index_behind"), ("resolved", "index_behind")]


def test_what_a_foreign_writer_overwrote_is_not_gone_because_a_fast_scan_cannot_see_it() -> None:
    rig = Rig()
    (point, *_) = rig.bench.store.scroll(Where(Key.DOCUMENT, ("docs:refunds.md",)), vectors=True)
    rig.bench.store.set_payload([(point.id, {"text": "something else entirely"})])
    rig.bench.scan(deep=True)
    assert rig.look() == ["index_behind"]
    assert rig.bench.scan().findings == ()
    assert rig.look() == ["index_behind"]
    rig.bench.reindex(Selection(deep=True))
    rig.bench.scan(deep=True)
    assert rig.look() == []


def test_another_encoder_is_one_incident_and_bringing_it_back_ends_it() -> None:
    rig = Rig()
    right, rig.bench.encoder = rig.bench.encoder, HashEncoder(salt=1)
    rig.bench.scan(deep=True)
    audit(rig.bench.pipeline)
    assert "encoder_changed" in rig.look()
    assert rig.docs.told() == [("opened", "encoder_changed")]
    rig.bench.encoder = right
    rig.bench.scan(deep=True)
    audit(rig.bench.pipeline)
    assert rig.look() == []
    assert rig.docs.told()[1:] == [("resolved", "encoder_changed")]


class DeadStore(MemoryStore):
    """A store whose server has gone."""

    def describe(self) -> CollectionInfo | None:
        raise StoreUnreachableError("nobody answers")


def test_a_store_that_goes_away_and_comes_back_leaves_what_was_known() -> None:
    rig = Rig()
    rig.bench.documents["refunds.md"] = TEXT.replace("thirty", "ten")
    rig.bench.scan()
    assert rig.look() == ["index_behind"]
    alive, rig.bench.store = rig.bench.store, DeadStore()
    with pytest.raises(StoreUnreachableError):
        scan(rig.bench.pipeline)
    assert rig.look() == ["index_behind", "store_unreachable"]
    rig.bench.store = alive
    rig.bench.reindex()
    assert rig.look() == []


def test_a_collection_that_was_dropped_is_told_as_that_and_not_as_its_documents() -> None:
    rig = Rig()
    rig.bench.store.drop()
    rig.bench.scan()
    assert rig.look() == ["collection_missing", "index_behind"]
    assert rig.docs.told() == [("opened", "collection_missing")]
    rig.bench.reindex()
    assert rig.look() == []
