"""What every `Ledger` promises about incidents, messages, lags and pruning, sentence by sentence."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, OvertakenError
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Excerpt, Incident, Notice, Phase, Problem, Transition
from ragwatch.ports.incidents import Lag, Ledger, Message
from tests.state.conftest import Opener

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
any_text = st.text(st.characters(), max_size=20)
"""Texts of any code point, lone surrogates and NUL included."""


def problem(summary: str = "3 stale documents") -> Problem:
    return Problem("stale", (("source", "wiki"),), Severity.WARNING, summary)


def incident(
    id_: str = "3f2a91bc",
    *,
    collection: str = "docs",
    version: int = 1,
    at: datetime = NOW,
    ended: datetime | None = None,
) -> Incident:
    phase = Phase.RESOLVED if ended else Phase.OPEN
    return Incident(id_, collection, "f" * 32, problem(), phase, at, at, opened=at, resolved=ended, version=version)


def message(
    id_: str, *, collection: str = "docs", channel: str = "slack", thread: str = "3f2a91bc", due: datetime = NOW
) -> Message:
    notice = Notice(Event.OPENED, collection, Severity.WARNING, "Stale documents", NOW, NOW, incident=thread)
    return Message(id_, collection, channel, thread, Event.OPENED, notice, created=NOW, due=due)


def transition(subject: str, at: datetime, *, collection: str = "docs", event: Event = Event.OPENED) -> Transition:
    return Transition(collection, subject, event, at, {"by": "watch"})


def lag(document: str, *, seen: datetime = NOW, visible: datetime | None = None, collection: str = "docs") -> Lag:
    return Lag(collection, "wiki", document, "edit", seen - MINUTE, seen, visible)


def taken(ledger: Ledger, holder: str, now: datetime = NOW, **options: int) -> list[str]:
    """Claim for a minute what waits for two channels of one collection; return the ids."""
    claimed = ledger.claim(holder, now, 60, collection="docs", channels=["slack", "hook"], **options)
    return [one.id for one in claimed]


def states(ledger: Ledger) -> dict[str, str]:
    return {one.id: one.state for one in ledger.messages()}


class IncidentContract:
    """Runs on every implementation through the fixtures `state` and `open_again`."""

    def test_an_incident_comes_back_as_it_was(self, state: Ledger) -> None:
        full = Incident(
            id="3f2a91bc",
            collection="docs",
            fingerprint="f" * 32,
            problem=Problem(
                "stale",
                (("job", "a"), ("source", "wiki")),
                Severity.ERROR,
                "3 stale",
                size=3,
                facts=("a fact",),
                excerpts=(Excerpt("wiki:a", "before", "after"),),
                queries=("why?",),
                command="ragwatch reindex",
                needs="audit",
                because=("encoder",),
            ),
            phase=Phase.RESOLVED,
            first_seen=NOW,
            last_seen=NOW + MINUTE,
            opened=NOW + MINUTE,
            resolved=NOW + DAY,
            sightings=4,
            misses=2,
            reopened=1,
            suppressed_by="00000000",
            told=NOW + MINUTE,
            told_size=3,
            told_severity=Severity.ERROR,
            seen_by=("audit", "scan"),
            acknowledged=NOW + MINUTE,
            acknowledged_by="ann",
            snoozed_until=NOW + DAY,
        )
        state.commit([full], now=NOW)
        assert state.incident("3f2a91bc") == full
        assert state.incidents(ended=True) == [full]

    def test_an_incident_is_found_by_a_prefix_that_only_it_has(self, state: Ledger) -> None:
        state.commit([incident("3f2a91bc"), incident("3f2b0000")], now=NOW)
        found = state.incident("3f2b")
        assert found is not None
        assert found.id == "3f2b0000"
        assert state.incident("3f2") is None
        assert state.incident("3F2B") is None
        assert state.incident("%") is None

    def test_an_id_finds_its_incident_though_others_begin_with_it(self, state: Ledger) -> None:
        state.commit([incident("3f2a91bc"), incident("3f2a91bc0")], now=NOW)
        assert state.incident("3f2a91bc") == incident("3f2a91bc")

    def test_incidents_are_those_not_resolved_newest_first_then_by_id(self, state: Ledger) -> None:
        old, b, a = incident("0"), incident("b", at=NOW + MINUTE), incident("a", at=NOW + MINUTE)
        over = incident("e", ended=NOW + DAY)
        suspected = replace(incident("5", collection="wiki"), phase=Phase.SUSPECTED, first_seen=NOW - DAY)
        state.commit([b, over, old, suspected, a], now=NOW)
        assert state.incidents() == [a, b, old, suspected]
        assert state.incidents(collection="docs") == [a, b, old]
        assert state.incidents(collection="none") == []

    def test_ended_incidents_come_along_when_asked_for(self, state: Ledger) -> None:
        early, late = incident("1", ended=NOW + DAY), incident("2", ended=NOW + 2 * DAY)
        state.commit([early, late, incident("0")], now=NOW)
        assert state.incidents(ended=True) == [incident("0"), early, late]
        assert state.incidents(ended=True, since=NOW + 2 * DAY) == [incident("0"), late]
        assert state.incidents(collection="wiki", ended=True) == []

    def test_an_incident_is_replaced_by_its_next_version(self, state: Ledger) -> None:
        state.commit([incident()], now=NOW)
        second = replace(incident(ended=NOW + DAY), version=2)
        state.commit([second], now=NOW)
        assert state.incident("3f2a91bc") == second
        assert state.incidents() == []

    @pytest.mark.parametrize("version", [1, 3])
    def test_another_version_than_the_next_is_refused(self, state: Ledger, version: int) -> None:
        state.commit([incident()], now=NOW)
        with pytest.raises(OvertakenError, match="3f2a91bc"):
            state.commit([replace(incident(), phase=Phase.RESOLVED, version=version)], now=NOW)
        assert state.incidents() == [incident()]

    def test_a_version_of_an_incident_that_is_not_there_is_refused(self, state: Ledger) -> None:
        with pytest.raises(OvertakenError):
            state.commit([incident(version=2)], now=NOW)
        assert state.incidents() == []

    def test_a_forgotten_incident_is_gone(self, state: Ledger) -> None:
        state.commit([incident("a"), incident("b")], now=NOW)
        state.commit(forgotten=[incident("a")], now=NOW)
        assert state.incidents() == [incident("b")]
        with pytest.raises(OvertakenError):
            state.commit(forgotten=[incident("a")], now=NOW)

    @pytest.mark.parametrize("cause", ["incident", "forgotten", "note", "new note"])
    def test_a_commit_that_was_overtaken_writes_nothing_at_all(self, state: Ledger, cause: str) -> None:
        state.commit([incident("a"), incident("b")], now=NOW)
        state.write_note("watch", "docs", {"at": 1}, NOW, expected=0)
        overtaken = {
            "incident": [incident("c"), incident("b", version=3)],
            "forgotten": [incident("c")],
            "note": [incident("c")],
            "new note": [incident("c")],
        }[cause]
        forgotten = [incident("b", version=2)] if cause == "forgotten" else [incident("a")]
        versions = {"note": (2, 0), "new note": (1, 1)}.get(cause, (1, 0))
        notes: list[tuple[str, str, Mapping[str, Json], int]] = [
            ("watch", "docs", {"at": 2}, versions[0]),
            ("watch", "wiki", {"at": 2}, versions[1]),
        ]
        with pytest.raises(OvertakenError):
            state.commit(overtaken, [transition("c", NOW)], [message("m")], forgotten=forgotten, notes=notes, now=NOW)
        assert state.incidents() == [incident("a"), incident("b")]
        assert state.transitions() == []
        assert state.messages() == []
        assert [note.value for note in state.notes("watch")] == [{"at": 1}]

    def test_a_commit_writes_all_of_it(self, state: Ledger) -> None:
        state.commit([incident("a")], now=NOW)
        state.commit(
            [incident("b"), incident("c")],
            [transition("b", NOW)],
            [message("m")],
            forgotten=[incident("a")],
            notes=[("watch", "docs", {"at": 1}, 0)],
            now=NOW + MINUTE,
        )
        assert [one.id for one in state.incidents()] == ["b", "c"]
        assert state.transitions() == [transition("b", NOW)]
        assert state.messages() == [message("m")]
        note = state.note("watch", "docs")
        assert note is not None
        assert (note.version, note.value, note.written) == (1, {"at": 1}, NOW + MINUTE)

    def test_transitions_come_newest_first_and_in_the_order_of_writing(self, state: Ledger) -> None:
        written = [transition("a", NOW, event=event) for event in (Event.OPENED, Event.GREW, Event.RESOLVED)]
        state.commit(transitions=written, now=NOW)
        state.commit(transitions=[transition("status", NOW - MINUTE), transition("a", NOW, collection="wiki")], now=NOW)
        asked = state.transitions(collection="docs")
        assert [one.event for one in asked] == [Event.RESOLVED, Event.GREW, Event.OPENED, Event.OPENED]
        assert [one.subject for one in asked] == ["a", "a", "a", "status"]
        assert state.transitions(collection="docs", subject="a", limit=2) == written[:0:-1]
        assert len(state.transitions(subject="a")) == 4

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(text=any_text, key=any_text)
    def test_any_text_survives(self, state: Ledger, text: str, key: str) -> None:
        id_ = f"{len(state.incidents()):08d}"
        seen = replace(problem(text), labels=((key, text),), facts=(text,))
        one = replace(incident(id_, collection=text), problem=seen)
        sent = replace(message(id_, channel=text, thread=text, collection=text), error=text)
        said = Transition(text, text, Event.OPENED, NOW, {key: text})
        state.commit([one], [said], [sent], now=NOW)
        assert state.incident(id_) == one
        assert one in state.incidents(collection=text)
        assert said in state.transitions(collection=text, subject=text)
        assert sent in state.messages(collection=text, channel=text, thread=text)
        behind = Lag(text, key, text, "edit", NOW, NOW)
        state.record([behind])
        assert behind in state.pending(text)


class OutboxContract:
    """Runs on every implementation through the fixtures `state` and `open_again`."""

    def test_a_message_comes_back_as_it_was(self, state: Ledger) -> None:
        notice = Notice(
            Event.RESOLVED,
            "docs",
            Severity.ERROR,
            "Stale documents",
            NOW,
            NOW - DAY,
            incident="3f2a91bc",
            cause="stale",
            labels=(("source", "wiki"),),
            resolved=NOW,
            facts=("3 of 4",),
            excerpts=(Excerpt("wiki:a", "old", "new"),),
            queries=("why?",),
            command="ragwatch scan",
            link="https://example.org",
        )
        full = replace(message("m", due=NOW + MINUTE), event=Event.RESOLVED, notice=notice)
        state.commit(messages=[full], now=NOW)
        assert state.messages() == [full]

    def test_a_known_message_is_passed_over(self, state: Ledger) -> None:
        state.commit(messages=[message("m")], now=NOW)
        state.commit(messages=[message("m", thread="other"), message("n"), message("n", thread="x")], now=NOW)
        assert state.messages() == [message("n"), message("m")]

    def test_a_message_that_was_sent_is_known_for_ever(self, state: Ledger) -> None:
        state.commit(messages=[message("m")], now=NOW)
        taken(state, "me")
        state.deliver("m", "me", NOW, {})
        state.commit(messages=[message("m")], now=NOW)
        assert taken(state, "me") == []

    def test_the_oldest_of_each_channel_and_thread_is_claimed(self, state: Ledger) -> None:
        queued = [
            message("a1", thread="a"),
            message("b1", thread="b"),
            message("a2", thread="a"),
            message("h1", thread="a", channel="hook"),
            message("other", channel="mail"),
            message("wiki", collection="wiki"),
        ]
        state.commit(messages=queued, now=NOW)
        assert taken(state, "me") == ["a1", "b1", "h1"]
        assert state.claim("me", NOW, 60, collection="docs", channels=[]) == []

    def test_a_claim_takes_no_more_than_it_is_told(self, state: Ledger, open_again: Opener) -> None:
        state.commit(messages=[message(str(number), thread=str(number)) for number in range(5)], now=NOW)
        assert taken(state, "me", limit=2) == ["0", "1"]
        assert taken(open_again(), "you", limit=2) == ["2", "3"]

    def test_a_claimed_message_is_not_given_to_another_and_those_behind_it_wait(
        self, state: Ledger, open_again: Opener
    ) -> None:
        state.commit(messages=[message("1"), message("2")], now=NOW)
        assert taken(state, "me") == ["1"]
        assert taken(open_again(), "you", NOW + MINUTE - timedelta(microseconds=1)) == []
        assert taken(state, "me", NOW + MINUTE / 2) == ["1"]
        assert taken(open_again(), "you", NOW + MINUTE) == []

    def test_an_expired_claim_is_claimed_again_by_another(self, state: Ledger, open_again: Opener) -> None:
        state.commit(messages=[message("1")], now=NOW)
        taken(state, "me")
        assert taken(open_again(), "you", NOW + MINUTE) == ["1"]
        assert taken(state, "me", NOW + MINUTE) == []

    def test_what_is_not_due_waits_and_so_does_what_is_behind_it(self, state: Ledger) -> None:
        state.commit(messages=[message("1", due=NOW + MINUTE), message("2")], now=NOW)
        assert taken(state, "me", NOW + MINUTE - timedelta(microseconds=1)) == []
        assert taken(state, "me", NOW + MINUTE) == ["1"]

    def test_a_delivered_message_lets_the_next_go(self, state: Ledger) -> None:
        state.commit(messages=[message("1"), message("2")], now=NOW)
        (claimed,) = state.claim("me", NOW, 60, collection="docs", channels=["slack"])
        assert claimed == message("1")
        state.deliver("1", "me", NOW + MINUTE, {"ts": "17.4"})
        sent = replace(message("1"), state="sent", sent=NOW + MINUTE, receipt={"ts": "17.4"})
        assert state.messages(state="sent") == [sent]
        assert taken(state, "me") == ["2"]

    def test_a_postponed_message_is_tried_when_it_is_due(self, state: Ledger) -> None:
        state.commit(messages=[message("1"), message("2")], now=NOW)
        taken(state, "me")
        state.postpone("1", "me", NOW + MINUTE, "no answer")
        assert taken(state, "you", NOW + MINUTE / 2) == []
        (again,) = state.claim("you", NOW + MINUTE, 60, collection="docs", channels=["slack"])
        assert again == replace(message("1", due=NOW + MINUTE), attempts=1, error="no answer")

    def test_a_message_given_up_lets_the_next_go(self, state: Ledger) -> None:
        state.commit(messages=[message("1"), message("2")], now=NOW)
        taken(state, "me")
        state.give_up("1", "me", NOW, "refused")
        assert state.messages(state="failed") == [replace(message("1"), state="failed", error="refused")]
        assert taken(state, "me") == ["2"]

    @pytest.mark.parametrize("what", ["deliver", "postpone", "give_up"])
    def test_who_lost_the_claim_changes_nothing(self, state: Ledger, open_again: Opener, what: str) -> None:
        def end(holder: str) -> None:
            if what == "deliver":
                state.deliver("1", holder, NOW, {})
            elif what == "postpone":
                state.postpone("1", holder, NOW + DAY, "late")
            else:
                state.give_up("1", holder, NOW, "late")

        state.commit(messages=[message("1")], now=NOW)
        end("me")
        taken(state, "me")
        taken(open_again(), "you", NOW + MINUTE)
        end("me")
        assert state.messages() == [message("1")]
        assert taken(open_again(), "you", NOW + MINUTE) == ["1"]
        state.deliver("1", "you", NOW, {"by": "you"})
        end("you")
        (settled,) = state.messages()
        assert (settled.state, settled.receipt) == ("sent", {"by": "you"})

    def test_a_late_word_of_a_holder_whose_claim_nobody_took_counts(self, state: Ledger) -> None:
        state.commit(messages=[message("1")], now=NOW)
        taken(state, "me")
        state.deliver("1", "me", NOW + DAY, {})
        assert states(state) == {"1": "sent"}

    def test_messages_come_newest_first_and_as_asked(self, state: Ledger) -> None:
        queued = [
            message("1", thread="a"),
            message("2", thread="b", channel="hook"),
            message("3", thread="a", collection="wiki"),
            message("4", thread="a"),
        ]
        state.commit(messages=queued, now=NOW)
        asked: list[tuple[dict[str, str], list[str]]] = [
            ({}, ["4", "3", "2", "1"]),
            ({"collection": "docs"}, ["4", "2", "1"]),
            ({"channel": "hook"}, ["2"]),
            ({"thread": "a", "collection": "docs"}, ["4", "1"]),
        ]
        for given_, expected in asked:
            assert [one.id for one in state.messages(**given_)] == expected  # type: ignore[arg-type]
        assert [one.id for one in state.messages(limit=2)] == ["4", "3"]
        assert state.messages(state="sent") == []

    def test_depth_counts_by_channel_and_state(self, state: Ledger) -> None:
        newer = replace(message("2", thread="b"), created=NOW + MINUTE)
        state.commit(
            messages=[newer, message("1"), message("3", channel="hook"), message("x", collection="w")], now=NOW
        )
        taken(state, "me", limit=1)
        state.deliver("2", "me", NOW, {})
        assert state.depth("docs") == {
            ("slack", "sent"): (1, NOW + MINUTE),
            ("slack", "waiting"): (1, NOW),
            ("hook", "waiting"): (1, NOW),
        }
        assert state.depth("none") == {}

    def test_a_failed_message_waits_again_when_told_to(self, state: Ledger) -> None:
        state.commit(messages=[message("1")], now=NOW)
        for end in ("postpone", "give_up"):
            taken(state, "me", NOW + DAY)
            getattr(state, end)("1", "me", NOW, "no")
        state.retry("1", NOW + 2 * DAY)
        assert state.messages() == [replace(message("1", due=NOW + 2 * DAY), error="no")]
        assert taken(state, "me", NOW + 2 * DAY) == ["1"]

    def test_only_a_failed_message_is_retried(self, state: Ledger) -> None:
        state.commit(messages=[message("1", due=NOW + DAY), message("2", thread="b")], now=NOW)
        taken(state, "me")
        state.deliver("2", "me", NOW, {})
        for id_ in ("1", "2"):
            state.retry(id_, NOW)
        assert states(state) == {"1": "waiting", "2": "sent"}
        assert taken(state, "me") == []
        with pytest.raises(NotFoundError, match="no-such"):
            state.retry("no-such", NOW)


class FreshnessContract:
    """Runs on every implementation through the fixtures `state` and `open_again`."""

    def test_a_lag_is_pending_until_it_is_visible(self, state: Ledger) -> None:
        state.record([lag("b"), lag("a"), lag("a", collection="wiki")])
        assert state.pending("docs") == [lag("a"), lag("b")]
        state.record([lag("a", visible=NOW + MINUTE)])
        assert state.pending("docs") == [lag("b")]
        assert state.pending("wiki") == [lag("a", collection="wiki")]

    @pytest.mark.parametrize("change", ["edit", "addition", "deletion"])
    def test_a_lag_comes_back_as_it_was(self, state: Ledger, change: Literal["edit", "addition", "deletion"]) -> None:
        full = replace(lag("ü"), change=change, visible=NOW + DAY)
        state.record([full])
        assert state.lags("docs", NOW) == [full]

    def test_a_lag_is_replaced_by_document_and_when_it_was_seen(self, state: Ledger) -> None:
        state.record([lag("a", visible=NOW + MINUTE), lag("a", seen=NOW + DAY)])
        state.record([replace(lag("a", seen=NOW + DAY), change="deletion"), lag("a", visible=NOW + 2 * MINUTE)])
        assert state.lags("docs", NOW) == [
            lag("a", visible=NOW + 2 * MINUTE),
            replace(lag("a", seen=NOW + DAY), change="deletion"),
        ]

    def test_lags_are_those_visible_since_and_all_that_are_pending(self, state: Ledger) -> None:
        old, late = lag("old", visible=NOW), lag("late", seen=NOW + MINUTE, visible=NOW + DAY)
        behind = lag("behind", seen=NOW - 9 * DAY)
        state.record([late, old, behind, lag("other", collection="wiki")])
        assert state.lags("docs", NOW + DAY) == [behind, late]
        assert state.lags("docs", NOW) == [behind, old, late]

    def test_any_number_of_lags_is_recorded(self, state: Ledger) -> None:
        state.record([lag(f"{number:05d}") for number in range(2_500)])
        state.record([])
        assert len(state.pending("docs")) == 2_500


class PrunerContract:
    """Runs on every implementation through the fixtures `state` and `open_again`."""

    def test_pruning_nothing_forgets_nothing(self, state: Ledger) -> None:
        names = ("runs", "findings", "plans", "incidents", "transitions", "messages", "lags")
        assert state.prune(NOW) == dict.fromkeys(names, 0)

    def test_ended_runs_go_with_their_findings(self, state: Ledger) -> None:
        runs = [state.start_run("scan", "docs", NOW + number * DAY) for number in range(4)]
        for number, run in enumerate(runs):
            state.record_findings(run, [{"n": 1}, {"n": 2}])
            state.finish_run(run, "done", {}, NOW + number * DAY + MINUTE)
        forgotten = state.prune(NOW + 2 * DAY + MINUTE, keep_runs=0)
        assert (forgotten["runs"], forgotten["findings"]) == (2, 4)
        assert [run.id for run in state.runs()] == runs[:1:-1]
        assert [len(state.findings(run)) for run in runs] == [0, 0, 2, 2]

    def test_the_newest_runs_of_each_verb_and_collection_stay(self, state: Ledger) -> None:
        for number in range(4):
            for verb, collection in (("scan", "docs"), ("probe", "docs"), ("scan", "wiki")):
                run = state.start_run(verb, collection, NOW + number * MINUTE)
                state.record_findings(run, [{"n": number}])
        assert state.prune(NOW + DAY, keep_runs=3)["runs"] == 3
        assert len(state.runs(collection="docs", verb="scan")) == 3
        assert {run.started for run in state.runs()} == {NOW + number * MINUTE for number in (1, 2, 3)}
        assert [state.findings(run.id) for run in state.runs(limit=3)] == [[{"n": 3}]] * 3

    def test_any_number_of_findings_goes(self, state: Ledger) -> None:
        run = state.start_run("scan", "docs", NOW)
        state.record_findings(run, ({"n": number} for number in range(2_500)))
        assert state.prune(NOW + DAY, keep_runs=0)["findings"] == 2_500
        assert state.runs() == []

    def test_old_plans_go(self, state: Ledger) -> None:
        state.save_plan("a" * 32, "docs", {}, NOW)
        state.save_plan("b" * 32, "docs", {}, NOW + DAY)
        assert state.prune(NOW + DAY)["plans"] == 1
        assert state.plan("a") is None
        assert state.plan("b") == {}

    def test_resolved_incidents_go_with_their_transitions_and_open_ones_keep_theirs(self, state: Ledger) -> None:
        state.commit(
            [incident("open"), incident("late", ended=NOW + DAY), incident("over", ended=NOW + MINUTE)],
            [transition(subject, NOW) for subject in ("open", "late", "over", "forgotten")],
            now=NOW,
        )
        forgotten = state.prune(NOW + DAY)
        assert (forgotten["incidents"], forgotten["transitions"]) == (1, 2)
        assert {one.id for one in state.incidents(ended=True)} == {"open", "late"}
        assert {one.subject for one in state.transitions()} == {"open", "late"}

    def test_the_last_transition_of_each_status_stays(self, state: Ledger) -> None:
        moments = [transition("status", NOW + number * MINUTE, event=Event.STATUS) for number in range(3)]
        state.commit(transitions=[*moments, transition("status", NOW, collection="wiki")], now=NOW)
        assert state.prune(NOW + DAY)["transitions"] == 2
        assert state.transitions() == [moments[2], transition("status", NOW, collection="wiki")]

    def test_settled_messages_go_and_waiting_ones_stay(self, state: Ledger) -> None:
        queued = [message(id_, thread=id_) for id_ in ("sent", "failed", "late", "waiting", "open")]
        state.commit([incident("open")], messages=queued, now=NOW)
        taken(state, "me")
        for id_ in ("sent", "open"):
            state.deliver(id_, "me", NOW, {})
        state.give_up("failed", "me", NOW, "refused")
        state.deliver("late", "me", NOW + DAY, {})
        assert state.prune(NOW + DAY)["messages"] == 2
        assert set(states(state)) == {"late", "waiting", "open"}

    def test_a_failed_message_that_waits_again_stays(self, state: Ledger) -> None:
        state.commit(messages=[message("1")], now=NOW)
        taken(state, "me")
        state.give_up("1", "me", NOW, "refused")
        state.retry("1", NOW)
        assert state.prune(NOW + DAY)["messages"] == 0

    def test_visible_lags_go_and_pending_ones_stay(self, state: Ledger) -> None:
        state.record([lag("a", visible=NOW), lag("b", visible=NOW + DAY), lag("c")])
        assert state.prune(NOW + DAY)["lags"] == 1
        assert [one.document for one in state.lags("docs", NOW)] == ["b", "c"]

    def test_notes_and_quarantine_stay(self, state: Ledger) -> None:
        state.write_note("baseline", "docs", {}, NOW, expected=0)
        state.prune(NOW + 900 * DAY, keep_runs=0)
        assert state.note("baseline", "docs") is not None
