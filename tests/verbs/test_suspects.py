"""Documents that something else stands in for: pointers, one page in place of many, files that lost their text."""

import pytest

from ragwatch.errors import RefusedError
from ragwatch.health.findings import Kind, Status
from ragwatch.index.guards import Guard, Limits
from ragwatch.reindex import Consent
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import Bench

TEN = {f"guide-{n}.md": f"# Guide {n}\n\nThis is what guide number {n} says." for n in range(12)}
SIGN_IN = "# Sign in\n\nYour session has expired. Sign in to read this page."
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{n:064x}\nsize {n}\n"


@pytest.fixture
def bench() -> Bench:
    bench = Bench(MemoryStore(), dict(TEN), limits=Limits())
    assert bench.reindex().verified
    return bench


def replace_ten(bench: Bench, text: str) -> None:
    for n in range(10):
        bench.documents[f"guide-{n}.md"] = text.format(n=n)


def texts(bench: Bench) -> list[str]:
    return [str(point.payload["text"]) for point in bench.store.scroll()]


@pytest.mark.parametrize("text", [LFS, "/annex/objects/SHA256E-s{n}--{n:064x}.md\n"])
def test_ten_documents_replaced_by_pointers_are_unreadable_and_keep_their_points(bench: Bench, text: str) -> None:
    before = sorted(texts(bench))
    replace_ten(bench, text)
    report = bench.scan(deep=True)
    assert report.status is Status.DEGRADED
    assert {finding.kind for finding in report.findings} == {Kind.UNREADABLE}
    assert report.balance.documents.set_aside == 10
    bench.reindex()
    assert sorted(texts(bench)) == before


def test_one_page_in_place_of_many_documents_is_refused_by_name(bench: Bench) -> None:
    before = sorted(texts(bench))
    replace_ten(bench, SIGN_IN)
    with pytest.raises(RefusedError, match="10 of 12 documents of source docs newly hold the same text") as refused:
        bench.reindex()
    assert "--override same-text" in refused.value.hint
    assert sorted(texts(bench)) == before
    assert bench.reindex(consent=Consent((Guard.SAME_TEXT,))).verified
    assert not bench.scan(deep=True).findings


def test_five_are_let_pass(bench: Bench) -> None:
    for n in range(5):
        bench.documents[f"guide-{n}.md"] = SIGN_IN
    assert bench.reindex().verified


def test_documents_replaced_by_copies_of_others_that_did_not_change_are_refused(bench: Bench) -> None:
    for n in range(6):
        bench.documents[f"guide-{n}.md"] = TEN[f"guide-{n + 6}.md"]
    with pytest.raises(RefusedError, match="6 of 12 documents"):
        bench.reindex()


def test_copies_that_were_copies_before_are_let_pass(bench: Bench) -> None:
    replace_ten(bench, "# Licence\n\nDo as you like.")
    bench.reindex(consent=Consent((Guard.SAME_TEXT,)))
    replace_ten(bench, "# Licence\n\nDo as you like, and say who wrote it.")
    assert bench.reindex().verified


def test_a_first_build_of_many_copies_is_let_pass() -> None:
    bench = Bench(MemoryStore(), {f"{n}.md": SIGN_IN for n in range(12)}, limits=Limits())
    assert bench.reindex().verified


def test_copies_that_lost_points_are_no_edit(bench: Bench) -> None:
    """A first build of copies that was killed, or points deleted behind our back: the documents are what they were."""
    many = Bench(MemoryStore(), {f"{n}.md": f"{SIGN_IN}\n\n# More\n\nOf this." for n in range(12)}, limits=Limits())
    assert many.reindex().verified
    for point in list(many.store.scroll()):
        if point.payload["position"] == 1:
            labels = point.payload["_ragwatch"]
            assert isinstance(labels, dict)
            many.store.delete([point.id], revision=str(labels["rev"]))
    assert many.reindex().verified


def test_documents_that_lost_all_their_text_are_refused_if_they_are_many(bench: Bench) -> None:
    # A source says itself that a file is empty; what it has read and what yields no chunk is a document without text.
    bench.chunker = EmptyOn("[]")
    bench.reindex()
    before = sorted(texts(bench))
    replace_ten(bench, "[]")
    with pytest.raises(RefusedError, match="10 of 12 documents of source docs have no text left"):
        bench.reindex()
    assert sorted(texts(bench)) == before
    assert bench.reindex(consent=Consent((Guard.LOST_CHUNKS,))).verified
    report = bench.scan(deep=True)
    assert report.status is Status.HEALTHY
    assert len(texts(bench)) == 2


def test_one_that_lost_its_text_is_repaired_and_is_nothing_wrong_afterwards(bench: Bench) -> None:
    bench.chunker = EmptyOn("[]")
    bench.reindex()
    bench.documents["guide-1.md"] = "[]"
    assert {finding.kind for finding in bench.scan().findings} == {Kind.TOMBSTONE, Kind.EMPTY}
    assert bench.reindex().verified
    for deep in (False, True):
        assert bench.scan(deep=deep).status is Status.HEALTHY


class EmptyOn:
    """A chunker of whole documents that takes one text for nothing."""

    max_tokens = 0

    def __init__(self, nothing: str) -> None:
        self.nothing = nothing
        self.fingerprint = f"whole {nothing}"

    def split(self, document, count_tokens):  # type: ignore[no-untyped-def]
        from ragwatch.corpus.document import Chunk

        return [] if document.text.strip() == self.nothing else [Chunk(document.text)]
