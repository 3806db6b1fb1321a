"""What every `State` promises, sentence by sentence; `lease_contract` goes on about leases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, OvertakenError
from ragwatch.ports import CachedDocument, Note, Quarantined, State
from tests.state.conftest import Opener

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BERLIN = timezone(timedelta(hours=2))
any_text = st.text(st.characters(), max_size=20)
"""Texts of any code point, lone surrogates and NUL included."""


def cached_document(id_: str, *, source: str = "docs", digest: str = "d" * 32) -> CachedDocument:
    return CachedDocument(source, id_, "12:3456", "spec", digest, "r" * 24)


class StateContract:
    """Runs on every implementation through the fixtures `state` and `open_again`."""

    # --- cached documents

    def test_a_cached_document_comes_back_as_it_was(self, state: State) -> None:
        finding: dict[str, Json] = {
            "kind": "truncated",
            "chunks": [1, 2],
            "nested": {"é": None, "share": 0.25, "yes": True},
        }
        document = CachedDocument("docs", "guide/ü.md", "", "spec", "", "", (finding, {"kind": "empty"}))
        state.remember([document])
        assert state.cached("docs", ["guide/ü.md"]) == {"guide/ü.md": document}

    def test_cached_returns_only_what_was_asked_and_is_known(self, state: State) -> None:
        state.remember([cached_document("a"), cached_document("b"), cached_document("c")])
        assert set(state.cached("docs", ["c", "a", "unknown"])) == {"a", "c"}

    def test_cached_keeps_sources_apart(self, state: State) -> None:
        state.remember([cached_document("a", source="docs"), cached_document("a", source="wiki", digest="w")])
        assert state.cached("wiki", ["a"])["a"].digest == "w"
        assert state.cached("other", ["a"]) == {}

    def test_cached_takes_no_ids(self, state: State) -> None:
        assert state.cached("docs", []) == {}

    def test_cached_takes_any_number_of_ids(self, state: State) -> None:
        state.remember([cached_document("first"), cached_document("last")])
        ids = ["first", *(f"unknown {number}" for number in range(70_000)), "last"]
        assert list(state.cached("docs", ids)) == ["first", "last"]

    def test_remember_replaces(self, state: State) -> None:
        state.remember([cached_document("a", digest="old")])
        state.remember([cached_document("a", digest="new")])
        assert state.cached("docs", ["a"])["a"].digest == "new"

    def test_the_last_of_two_in_one_stream_is_remembered(self, state: State) -> None:
        state.remember([cached_document("a", digest="old"), cached_document("b"), cached_document("a", digest="new")])
        assert state.cached("docs", ["a"])["a"].digest == "new"

    def test_remember_keeps_what_came_before_the_stream_broke(self, state: State) -> None:
        def broken() -> Iterator[CachedDocument]:
            yield from (cached_document(f"{number:05d}") for number in range(5_000))
            raise OSError("the source went away")

        with pytest.raises(OSError, match="went away"):
            state.remember(broken())
        kept = state.cached("docs", [f"{number:05d}" for number in range(5_000)])
        assert "00000" in kept

    def test_the_stream_may_use_the_state_itself(self, state: State) -> None:
        seen: list[int] = []

        def stream() -> Iterator[CachedDocument]:
            for number in range(3_000):
                if number == 2_500:
                    seen.append(len(state.cached("docs", [str(number) for number in range(2_500)])))
                    state.forget("docs", ["0"])
                yield cached_document(str(number))

        state.remember(stream())
        assert seen[0] > 0
        assert "0" not in state.cached("docs", ["0"])

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(source=any_text, id_=any_text, stamp=any_text, reason=any_text)
    def test_any_text_survives(self, state: State, source: str, id_: str, stamp: str, reason: str) -> None:
        document = CachedDocument(source, id_, stamp, "spec", "", "", ({"reason": reason},))
        state.remember([document])
        assert state.cached(source, [id_]) == {id_: document}
        state.quarantine("docs", [Quarantined(id_, "r1", reason, NOW)])
        assert state.quarantined("docs")[id_].reason == reason
        state.forget(source, [id_])
        assert state.cached(source, [id_]) == {}

    def test_forget_forgets_only_what_it_was_told(self, state: State) -> None:
        state.remember([cached_document("a"), cached_document("b"), cached_document("a", source="wiki")])
        state.forget("docs", ["a", "unknown"])
        assert set(state.cached("docs", ["a", "b"])) == {"b"}
        assert set(state.cached("wiki", ["a"])) == {"a"}

    def test_forget_takes_any_number_of_ids(self, state: State) -> None:
        state.remember(cached_document(str(number)) for number in range(2_500))
        state.forget("docs", [str(number) for number in range(5_000)])
        assert state.cached("docs", [str(number) for number in range(5_000)]) == {}

    # --- runs

    def test_a_started_run_is_running(self, state: State) -> None:
        run = state.start_run("scan", "docs", NOW, {"mode": "deep"})
        (record,) = state.runs()
        assert (record.id, record.verb, record.collection, record.started) == (run, "scan", "docs", NOW)
        assert (record.finished, record.outcome, record.summary) == (None, "running", {"mode": "deep"})

    def test_a_run_needs_no_summary_to_start(self, state: State) -> None:
        state.start_run("scan", "docs", NOW)
        assert state.runs()[0].summary == {}

    def test_a_finished_run_has_outcome_summary_and_time(self, state: State) -> None:
        run = state.start_run("scan", "docs", NOW, {"mode": "deep"})
        state.finish_run(run, "done", {"counts": {"stale": 3}, "share": 0.5}, NOW + MINUTE)
        (record,) = state.runs()
        assert (record.started, record.finished, record.outcome) == (NOW, NOW + MINUTE, "done")
        assert record.summary == {"counts": {"stale": 3}, "share": 0.5}

    def test_finishing_an_unknown_run_is_an_error(self, state: State) -> None:
        with pytest.raises(NotFoundError, match="no-such-run"):
            state.finish_run("no-such-run", "done", {}, NOW)

    def test_run_ids_sort_by_time(self, state: State) -> None:
        moments = [NOW + timedelta(microseconds=number**3) for number in range(20)]
        ids = [state.start_run("scan", "docs", moment) for moment in moments]
        assert ids == sorted(ids)
        assert len(set(ids)) == len(ids)

    def test_runs_of_the_same_moment_sort_by_their_start(self, state: State) -> None:
        ids = [state.start_run("scan", "docs", NOW) for _ in range(12)]
        assert ids == sorted(set(ids))
        assert [run.id for run in state.runs()] == ids[::-1]

    def test_runs_come_newest_first_whatever_the_order_of_recording(self, state: State) -> None:
        late = state.start_run("scan", "docs", NOW + MINUTE)
        early = state.start_run("scan", "docs", NOW)
        assert [run.id for run in state.runs()] == [late, early]

    def test_runs_are_limited_and_filtered(self, state: State) -> None:
        for number, (verb, collection) in enumerate([("scan", "a"), ("scan", "b"), ("probe", "a"), ("scan", "a")]):
            state.start_run(verb, collection, NOW + number * MINUTE)
        assert [(run.verb, run.collection) for run in state.runs(collection="a")] == [
            ("scan", "a"),
            ("probe", "a"),
            ("scan", "a"),
        ]
        assert len(state.runs(verb="scan")) == 3
        assert [run.started for run in state.runs(collection="a", verb="scan", limit=1)] == [NOW + 3 * MINUTE]
        assert state.runs(collection="none") == []

    def test_a_follower_is_given_every_finished_run_once_in_the_order_of_finishing(self, state: State) -> None:
        ids = [state.start_run("scan", "docs", NOW) for _ in range(6)]
        other = state.start_run("scan", "other", NOW)
        state.finish_run(other, "done", {}, NOW)
        for number, minute in ((3, 1), (0, 2), (5, 2), (1, 2), (4, 9)):
            state.finish_run(ids[number], "done", {}, NOW + minute * MINUTE)
        expected = [ids[3], ids[0], ids[1], ids[5], ids[4]]
        assert [run.id for run in state.finished_runs("docs")] == expected
        seen: list[str] = []
        mark = None
        while batch := state.finished_runs("docs", after=mark, limit=2):
            seen.extend(run.id for run in batch)
            assert batch[-1].finished is not None
            mark = (batch[-1].finished, batch[-1].id)
        assert seen == expected

    def test_times_come_back_in_utc(self, state: State) -> None:
        run = state.start_run("scan", "docs", NOW.astimezone(BERLIN))
        state.finish_run(run, "done", {}, (NOW + MINUTE).astimezone(BERLIN))
        state.quarantine("docs", [Quarantined("docs:a", "r1", "refused", NOW.astimezone(BERLIN))])
        (record,) = state.runs()
        lease = state.acquire_lease("docs", "me", NOW.astimezone(BERLIN), 60)
        since = state.quarantined("docs")["docs:a"].since
        times = [record.started, record.finished, since, lease.expires]
        assert times == [NOW, NOW + MINUTE, NOW, NOW + MINUTE]
        assert all(moment is not None and moment.tzinfo is UTC for moment in times)

    # --- findings

    def test_findings_keep_their_order(self, state: State) -> None:
        run = state.start_run("scan", "docs", NOW)
        findings: list[dict[str, Json]] = [
            {"kind": "stale", "subject": f"document {number}", "n": number} for number in range(2_345)
        ]
        state.record_findings(run, iter(findings))
        assert state.findings(run) == findings
        assert state.findings(run, limit=7) == findings[:7]
        assert state.findings(run, limit=0) == []

    def test_findings_recorded_later_follow(self, state: State) -> None:
        run = state.start_run("scan", "docs", NOW)
        state.record_findings(run, [{"n": 1}, {"n": 2}])
        state.record_findings(run, [{"n": 3}])
        assert state.findings(run) == [{"n": 1}, {"n": 2}, {"n": 3}]

    def test_findings_belong_to_their_run(self, state: State) -> None:
        first, second = state.start_run("scan", "docs", NOW), state.start_run("scan", "docs", NOW)
        state.record_findings(first, [{"subject": "\udcff\x00é"}])
        state.record_findings(second, [])
        assert state.findings(first) == [{"subject": "\udcff\x00é"}]
        assert state.findings(second) == []

    def test_findings_of_an_unknown_run_cannot_be_recorded(self, state: State) -> None:
        with pytest.raises(NotFoundError, match="no-such-run"):
            state.record_findings("no-such-run", [{"n": 1}])
        assert state.findings("no-such-run") == []

    # --- plans

    def test_a_plan_comes_back_by_its_digest_and_by_a_prefix(self, state: State) -> None:
        plan: dict[str, Json] = {"collection": "docs", "changes": [{"document": "docs:a", "upsert": ["id"]}], "é": None}
        state.save_plan("3f2a91bc", "docs", plan, NOW)
        assert state.plan("3f2a91bc") == plan
        assert state.plan("3f") == plan

    def test_a_prefix_of_two_plans_finds_neither(self, state: State) -> None:
        state.save_plan("3f2a91bc", "docs", {"n": 1}, NOW)
        state.save_plan("3f2b0000", "docs", {"n": 2}, NOW)
        assert state.plan("3f2") is None
        assert state.plan("3f2a") == {"n": 1}

    @pytest.mark.parametrize("digest", ["91bc", "3F2A", "3f2a91bc0", "%", "3f_a"])
    def test_what_no_digest_starts_with_finds_nothing(self, state: State, digest: str) -> None:
        state.save_plan("3f2a91bc", "docs", {}, NOW)
        assert state.plan(digest) is None

    def test_saving_a_plan_again_changes_nothing(self, state: State) -> None:
        state.save_plan("3f2a91bc", "docs", {"n": 1}, NOW)
        state.save_plan("3f2a91bc", "docs", {"n": 2}, NOW + MINUTE)
        assert state.plan("3f2a91bc") == {"n": 1}

    # --- quarantine

    def test_quarantined_documents_come_back_by_key(self, state: State) -> None:
        entries = [Quarantined("docs:a", "r1", "too long", NOW), Quarantined("docs:b", "r2", "not finite", NOW)]
        state.quarantine("docs", entries)
        assert state.quarantined("docs") == {entry.document: entry for entry in entries}
        assert state.quarantined("other") == {}

    def test_quarantine_replaces_an_entry(self, state: State) -> None:
        state.quarantine("docs", [Quarantined("docs:a", "r1", "too long", NOW)])
        newer = Quarantined("docs:a", "r2", "not finite", NOW + MINUTE, ("d1", "d2"), 3, NOW + 2 * MINUTE)
        state.quarantine("docs", [newer])
        assert state.quarantined("docs") == {"docs:a": newer}

    def test_release_passes_over_unknown_documents(self, state: State) -> None:
        entries = [Quarantined(f"docs:{name}", "r1", "too long", NOW) for name in "ab"]
        state.quarantine("docs", entries)
        state.quarantine("other", entries)
        state.release("docs", ["docs:a", "docs:unknown"])
        assert set(state.quarantined("docs")) == {"docs:b"}
        assert set(state.quarantined("other")) == {"docs:a", "docs:b"}

    # --- the whole

    def test_what_was_written_is_there_for_the_next_process(self, state: State, open_again: Opener) -> None:
        run = state.start_run("scan", "docs", NOW)
        state.remember([cached_document("a")])
        state.record_findings(run, [{"n": 1}])
        other = open_again()
        assert other.cached("docs", ["a"]) == {"a": cached_document("a")}
        assert other.findings(run) == [{"n": 1}]

    def test_close_may_be_called_twice(self, open_again: Opener) -> None:
        state = open_again()
        state.close()
        state.close()

    # --- notes

    def test_a_note_comes_back_as_it_was(self, state: State) -> None:
        value: dict[str, Json] = {"phase": "filling", "numbers": [1, 2.5], "nested": {"ü": None}}
        state.write_note("migration", "docs", value, NOW.astimezone(BERLIN), expected=0)
        assert state.note("migration", "docs") == Note("migration", "docs", 1, value, NOW)

    def test_there_is_no_note_before_one_is_written(self, state: State) -> None:
        assert state.note("migration", "docs") is None
        assert state.notes("migration") == []

    def test_notes_of_a_kind_are_sorted_by_key(self, state: State) -> None:
        for kind, key in (("b", "z"), ("a", "é"), ("a", "Z"), ("a", "a")):
            state.write_note(kind, key, {"key": key}, NOW, expected=0)
        assert [note.key for note in state.notes("a")] == ["Z", "a", "é"]

    def test_a_note_is_replaced_at_the_version_that_was_read(self, state: State) -> None:
        state.write_note("migration", "docs", {"phase": 1}, NOW, expected=0)
        state.write_note("migration", "docs", {"phase": 2}, NOW + MINUTE, expected=1)
        assert state.note("migration", "docs") == Note("migration", "docs", 2, {"phase": 2}, NOW + MINUTE)

    @pytest.mark.parametrize("expected", [0, 2])
    def test_a_note_of_another_version_is_not_overwritten(self, state: State, expected: int) -> None:
        state.write_note("migration", "docs", {"phase": 1}, NOW, expected=0)
        with pytest.raises(OvertakenError):
            state.write_note("migration", "docs", {"phase": 2}, NOW, expected=expected)
        assert state.note("migration", "docs") == Note("migration", "docs", 1, {"phase": 1}, NOW)

    def test_a_note_that_is_gone_is_not_replaced(self, state: State) -> None:
        state.write_note("migration", "docs", {}, NOW, expected=0)
        state.remove_note("migration", "docs")
        state.remove_note("migration", "docs")
        with pytest.raises(OvertakenError):
            state.write_note("migration", "docs", {}, NOW, expected=1)
        assert state.note("migration", "docs") is None
