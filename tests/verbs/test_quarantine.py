"""One text that the encoder refuses: what it keeps waiting (itself), what it does not, and how it ends."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.corpus.chunking import SectionChunker
from ragwatch.errors import EncoderError, EncoderUnreachableError, ExitCode
from ragwatch.health.autonomy import Level, Rules
from ragwatch.health.findings import Kind, Status
from ragwatch.known import known_status
from ragwatch.policy import current_licence
from ragwatch.quarantine import Patience
from ragwatch.reindex import Selection, reindex
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.verbs.bench import START, Bench
from tests.verbs.test_equivalence import assert_equal_indexes

FIRST, LONGEST = Patience().first, Patience().longest


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


def document(*parts: str) -> str:
    return "\n\n".join(f"# Part {place}\n\n{part}" for place, part in enumerate(parts))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bench(clock: Clock) -> Bench:
    return filled(Bench(MemoryStore()), clock)


@pytest.fixture
def anywhere(any_store: Bench, clock: Clock) -> Bench:
    return filled(any_store, clock)


def filled(bench: Bench, clock: Clock) -> Bench:
    """Three documents in the index; the encoder refuses what is cursed."""
    bench.clock = clock
    bench.encoder.poison = ("cursed",)
    bench.documents.update(
        {
            "a.md": document("The first station reads rain.", "The second one reads wind.", "The third reads snow."),
            "b.md": document("Another document altogether, about depots."),
            "c.md": document("A document that will be withdrawn."),
        }
    )
    assert bench.reindex().verified
    return bench


EDIT = document(
    "The first station reads rain.", "A cursed edit of the second.", "A good edit of the third.", "And more."
)


def texts(bench: Bench) -> list[str]:
    return [str(point.payload["text"]) for point in bench.store.scroll()]


def serves(bench: Bench, words: str) -> bool:
    return any(words in text for text in texts(bench))


def kinds(bench: Bench, *, deep: bool = False) -> dict[str, set[Kind]]:
    found: dict[str, set[Kind]] = {}
    for finding in bench.scan(deep=deep).findings:
        found.setdefault(finding.document or finding.subject, set()).add(finding.kind)
    return found


def assert_as_built_anew(bench: Bench) -> None:
    fresh = bench.fresh()
    fresh.reindex()
    assert_equal_indexes(bench.store, fresh.store, bench.layout)


# --- what waits, and what does not -----------------------------------------------------------------------------


def test_the_other_chunks_are_written_and_the_old_ones_stay(bench: Bench) -> None:
    bench.documents["a.md"] = EDIT
    report = bench.reindex()
    assert report.applied.partial == {"docs:a.md"}
    assert "the encoder refuses 1 of its 4 chunks: text 1 of 1 is refused" in report.applied.quarantined["docs:a.md"]
    assert serves(bench, "good edit of the third")
    assert serves(bench, "And more")
    assert serves(bench, "The second one reads wind"), "the old text is served until the new one is settled"
    assert serves(bench, "The third reads snow")
    assert (report.verified, report.reconciled, report.set_aside) == (False, True, {"quarantined": 1})


@pytest.mark.parametrize("deep", [False, True])
def test_such_a_document_is_partial_with_the_reason(bench: Bench, deep: bool) -> None:
    bench.documents["a.md"] = EDIT
    bench.reindex()
    assert kinds(bench, deep=deep) == {"a.md": {Kind.PARTIAL, Kind.QUARANTINED}}
    for finding in bench.scan(deep=deep).findings:
        assert "text 1 of 1 is refused" in finding.reason


def test_a_document_of_which_nothing_is_in_the_index_is_quarantined(bench: Bench) -> None:
    bench.documents["new.md"] = document("A cursed text.")
    report = bench.reindex()
    assert not report.applied.partial
    assert kinds(bench) == {"new.md": {Kind.MISSING, Kind.QUARANTINED}}


def test_deletions_and_other_documents_do_not_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragwatch.apply.WINDOW_DOCUMENTS", 1)
    bench.documents["a.md"] = EDIT
    bench.documents["b.md"] = document("Another document, edited.")
    del bench.documents["c.md"]
    bench.reindex()
    assert serves(bench, "Another document, edited")
    assert not serves(bench, "about depots")
    assert not serves(bench, "withdrawn")


def test_what_is_settled_ends_as_if_it_had_been_built_anew(anywhere: Bench, clock: Clock) -> None:
    bench = anywhere
    bench.documents["a.md"] = EDIT
    bench.reindex()
    assert kinds(bench) == kinds(bench, deep=True) == {"a.md": {Kind.PARTIAL, Kind.QUARANTINED}}
    assert serves(bench, "The second one reads wind")
    bench.encoder.poison = ()
    clock.forward(FIRST)
    assert bench.reindex().verified
    assert not bench.scan(deep=True).findings
    assert not bench.state.quarantined("docs")
    assert_as_built_anew(bench)


def test_an_edit_that_takes_the_refused_text_away_settles_it(bench: Bench) -> None:
    bench.documents["a.md"] = EDIT
    bench.reindex()
    bench.documents["a.md"] = EDIT.replace("cursed", "blessed")
    assert bench.reindex().verified
    assert not bench.state.quarantined("docs")
    assert_as_built_anew(bench)


def test_an_edit_that_is_taken_back_leaves_nothing_waiting(bench: Bench) -> None:
    before = bench.documents["b.md"]
    bench.documents["b.md"] = document("A cursed edit.")
    bench.reindex()
    bench.documents["b.md"] = before
    assert bench.reindex().verified
    assert not bench.state.quarantined("docs")
    assert bench.scan().status is Status.HEALTHY


def test_a_later_edit_beside_a_refused_text_is_written_without_asking_for_it_again(bench: Bench) -> None:
    bench.documents["a.md"] = EDIT
    bench.reindex()
    bench.encoder.encoded.clear()
    bench.documents["a.md"] = EDIT.replace("And more", "And still more")
    bench.reindex()
    assert serves(bench, "And still more")
    assert not any("cursed" in text for text in bench.encoder.encoded)
    assert kinds(bench) == {"a.md": {Kind.PARTIAL, Kind.QUARANTINED}}


def test_what_others_take_out_of_a_partial_document_is_put_back_meanwhile(bench: Bench) -> None:
    bench.documents["a.md"] = EDIT
    bench.reindex()
    lost = [point.id for point in bench.store.scroll() if "And more" in str(point.payload["text"])]
    bench.store.delete(lost, revision=None)
    assert not bench.reindex().verified
    assert serves(bench, "And more")
    assert serves(bench, "The second one reads wind")


def test_a_text_that_is_refused_waits_for_every_document_that_holds_it(bench: Bench) -> None:
    bench.documents["a.md"] = EDIT
    bench.reindex()
    bench.encoder.encoded.clear()
    bench.documents["copy.md"] = EDIT
    bench.reindex()
    assert not any("cursed" in text for text in bench.encoder.encoded)
    assert kinds(bench) == {name: {Kind.PARTIAL, Kind.QUARANTINED} for name in ("a.md", "copy.md")}


# --- patience --------------------------------------------------------------------------------------------------


def tries(bench: Bench) -> int:
    return sum("cursed" in text for text in bench.encoder.encoded)


def test_it_is_tried_again_with_growing_patience(clock: Clock) -> None:
    bench = Bench(MemoryStore(), {"a.md": document("A cursed text.")}, clock=clock)
    bench.encoder.poison = ("cursed",)
    asked: list[timedelta] = []
    for _ in range(6 * 24 * 4):
        before = tries(bench)
        assert not bench.reindex().verified
        if tries(bench) > before:
            asked.append(clock.now - START)
        clock.forward(timedelta(minutes=15))
    gaps = [after - before for before, after in pairwise(asked)]
    assert gaps[:7] == [FIRST * 2**place for place in range(7)]
    assert gaps[7:] == [LONGEST] * len(gaps[7:])
    (entry,) = bench.state.quarantined("docs").values()
    assert entry.attempts == len(asked)
    assert entry.since == START


@pytest.mark.parametrize("attempts", [1, 2, 50, 10_000])
def test_patience_is_bounded(attempts: int) -> None:
    patience = Patience(timedelta(days=365), timedelta(days=365))
    assert patience.after(attempts) == timedelta(days=365)
    assert Patience().after(attempts) <= LONGEST


def test_while_it_waits_nothing_is_asked_and_nothing_is_called_done(bench: Bench) -> None:
    bench.documents["a.md"] = EDIT
    bench.reindex()
    calls = bench.encoder.calls
    report = bench.reindex()
    assert report.plan.empty
    assert bench.encoder.calls == calls
    assert (report.verified, report.set_aside) == (False, {"quarantined": 1})
    assert bench.scan().set_aside == {"quarantined": 1}


def test_retry_tries_all_at_once(bench: Bench) -> None:
    bench.documents["a.md"] = EDIT
    bench.documents["new.md"] = document("Something cursed.")
    bench.reindex()
    bench.encoder.poison = ()
    assert bench.reindex().plan.empty
    assert bench.reindex(Selection(retry=True)).verified
    assert_as_built_anew(bench)


def test_the_level_of_the_policy_is_not_lowered_by_it(bench: Bench) -> None:
    rules = Rules(Level.ALL)
    bench.documents["a.md"] = EDIT
    bench.reindex()
    assert current_licence(bench.state, "docs", rules).level is Level.ALL


def test_status_says_what_is_set_aside(bench: Bench, clock: Clock) -> None:
    bench.documents["a.md"] = EDIT
    bench.reindex()
    known = known_status(bench.state, "docs", clock.now)  # type: ignore[arg-type]
    assert known.set_aside == {"quarantined": 1}
    assert known.status is Status.DEGRADED
    clock.forward(timedelta(minutes=1))
    bench.encoder.poison = ()
    bench.reindex(Selection(retry=True))
    assert known_status(bench.state, "docs", clock.now).set_aside == {}  # type: ignore[arg-type]


# --- the manifest ----------------------------------------------------------------------------------------------


def manifest_chunker(bench: Bench) -> str:
    info = bench.store.describe()
    assert info is not None
    assert info.manifest is not None
    return info.manifest.chunker


def test_the_manifest_never_speaks_for_old_chunks_that_stay(bench: Bench, clock: Clock) -> None:
    before = manifest_chunker(bench)
    bench.chunker = SectionChunker(max_tokens=24, mixed_tokens=16, min_tokens=4)
    bench.documents["a.md"] = EDIT
    bench.reindex()
    assert serves(bench, "The second one reads wind"), "cut by the old chunker"
    assert manifest_chunker(bench) == before
    assert bench.reindex().plan.empty, "it is not promised in the next run either"
    assert manifest_chunker(bench) == before
    bench.encoder.poison = ()
    clock.forward(FIRST)
    assert bench.reindex().verified
    assert manifest_chunker(bench) == bench.chunker.fingerprint


def test_without_old_chunks_the_manifest_does_not_wait(bench: Bench) -> None:
    bench.chunker = SectionChunker(max_tokens=24, mixed_tokens=16, min_tokens=4)
    bench.documents["new.md"] = document("A cursed text.")
    bench.reindex()
    assert manifest_chunker(bench) == bench.chunker.fingerprint


def test_the_manifest_never_speaks_for_what_cannot_be_read(bench: Bench) -> None:
    before = manifest_chunker(bench)
    bench.chunker = SectionChunker(max_tokens=24, mixed_tokens=16, min_tokens=4)
    unreadable = MemorySource(dict(bench.documents), name="docs", unreadable={"a.md": "binary"})
    report = reindex(replace(bench.pipeline, sources=(unreadable,)), limits=bench.limits, holder="test")
    assert (report.verified, report.set_aside) == (False, {"unreadable": 1})
    assert manifest_chunker(bench) == before
    assert bench.reindex().verified
    assert manifest_chunker(bench) == bench.chunker.fingerprint


# --- an encoder that does not answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("outage", [EncoderUnreachableError("the endpoint is down"), EncoderError("no such model")])
def test_deletions_and_relabels_do_not_wait_for_an_encoder_that_does_not_answer(
    bench: Bench, outage: EncoderUnreachableError | EncoderError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragwatch.apply.WINDOW_DOCUMENTS", 1)
    bench.documents["a.md"] = document("An edit that needs the encoder.")
    bench.documents["b2.md"] = bench.documents.pop("b.md")
    del bench.documents["c.md"]
    bench.documents["d.md"] = document("A new document.")
    bench.encoder.outage = outage
    calls = bench.encoder.calls
    with pytest.raises(type(outage)):
        bench.reindex()
    assert bench.encoder.calls == calls + 1, "it is not asked again and again"
    assert serves(bench, "The first station reads rain"), "what needs the encoder stays"
    assert not serves(bench, "withdrawn")
    assert {str(point.payload["document"]) for point in bench.store.scroll()} == {"a.md", "b2.md"}
    assert bench.state.runs(verb="reindex")[0].outcome == "failed"
    bench.encoder.outage = None
    assert bench.reindex().verified
    assert_as_built_anew(bench)


def test_an_encoder_that_refuses_everything_quarantines_nothing(bench: Bench) -> None:
    bench.encoder.poison = (" ", "ragwatch")
    bench.documents["a.md"] = EDIT
    with pytest.raises(EncoderUnreachableError, match="not even a single word") as caught:
        bench.reindex()
    assert caught.value.exit_code is ExitCode.UNREACHABLE
    assert not bench.state.quarantined("docs")


# --- any edits, any refusals -------------------------------------------------------------------------------------

WORDS = ("rain", "wind", "snow", "hail", "cursed frost", "cursed fog")
PARTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True)
CORPORA = st.dictionaries(st.sampled_from(("a.md", "b.md", "c.md")), PARTS, max_size=3)
STEPS = st.lists(st.tuples(CORPORA, st.sampled_from(((), ("cursed",), ("fog",))), st.integers(0, 40)), max_size=5)


@settings(deadline=None, max_examples=50)
@given(STEPS)
def test_any_sequence_of_edits_and_refusals_keeps_texts_and_ends_as_built_anew(
    steps: list[tuple[dict[str, list[str]], tuple[str, ...], int]],
) -> None:
    clock = Clock()
    bench = Bench(MemoryStore(), clock=clock)
    for corpus, poison, minutes in steps:
        bench.documents = {
            name: document(*(f"The {part} is read here." for part in parts)) for name, parts in corpus.items()
        } | {"kept.md": document("This one stays.")}
        bench.encoder.poison = poison
        before = {name: part for name, part in _served(bench).items() if name in bench.documents}
        report = bench.reindex()
        refused = {key.partition(":")[2] for key in bench.state.quarantined("docs")}
        assert report.reconciled
        assert report.verified == (not refused)
        for name, held in before.items():
            assert held <= _served(bench)[name] or name not in refused, "an old chunk of a partial document is gone"
        assert set(kinds(bench)) == refused
        for name in refused:
            assert Kind.QUARANTINED in kinds(bench)[name]
        clock.forward(timedelta(minutes=minutes))
    bench.encoder.poison = ()
    clock.forward(LONGEST)
    assert bench.reindex().verified
    assert not bench.scan(deep=True).findings
    if bench.documents:
        assert_as_built_anew(bench)


def _served(bench: Bench) -> dict[str, set[str]]:
    if bench.store.describe() is None:
        return {}
    found: dict[str, set[str]] = {}
    for point in bench.store.scroll():
        found.setdefault(str(point.payload["document"]), set()).add(str(point.payload["text"]))
    return found
