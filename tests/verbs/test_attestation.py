"""attest: the encoder that changes behind its name is found, and nothing else is called a change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pytest

from ragwatch.auditing.attestation import KIND, accept, attest
from ragwatch.corpus.identity import Json
from ragwatch.encoders import EndpointSettings
from ragwatch.encoders.openai_compatible import EndpointEncoder
from ragwatch.errors import EncoderError, StateError
from ragwatch.health.pinned_texts import PINNED_TEXTS
from ragwatch.index.spec import Distance
from ragwatch.pipeline import Pipeline
from ragwatch.ports import Encoder, Vectors
from tests.fakes.hash_encoder import HashEncoder
from tests.fakes.memory_state import MemoryState
from tests.fakes.memory_store import MemoryStore
from tests.servers.embeddings import EmbeddingServer
from tests.verbs.bench import START, Bench

LONGEST = PINNED_TEXTS["beyond-512-tokens"]


@dataclass
class Served(HashEncoder):
    """An encoder whose name and settings stay, whatever is behind them."""

    behind: Encoder | None = None
    amplitude: float = 0.0
    scale: float = 1.0
    version: str = "1"

    @property
    def identity(self) -> Any:
        return replace(super().identity, recorded={"runtime": self.version})

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        rows = self.behind.encode(texts, kind=kind) if self.behind else super().encode(texts, kind=kind)
        noise = np.random.default_rng(self.calls).normal(0, self.amplitude, rows.shape) if self.amplitude else 0
        self.calls += 1
        return np.asarray(self.scale * (rows + noise), np.float32)


@pytest.fixture
def encoder() -> Served:
    return Served()


@pytest.fixture
def pipeline(encoder: Served) -> Pipeline:
    return Bench(MemoryStore(), encoder=encoder).pipeline


def test_the_reference_is_taken_once_and_then_compared_with(pipeline: Pipeline) -> None:
    first = attest(pipeline)
    assert (first.state, first.reference_from, len(first.texts)) == ("first use", START, len(PINNED_TEXTS))
    again = attest(pipeline)
    assert (again.state, again.worst.distance, again.tolerance) == ("same", 0.0, first.tolerance)
    assert len(pipeline.state.notes(KIND)) == 1


def test_another_model_behind_the_name_is_found(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.behind = HashEncoder(salt=1)
    found = attest(pipeline)
    assert found.state == "another"
    assert found.worst.distance > 0.5
    assert found.texts[0].distance == max(text.distance for text in found.texts)


def test_a_shorter_window_is_found_by_the_long_texts_alone(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.behind = HashEncoder(window=60)
    found = attest(pipeline)
    assert found.state == "another"
    moved = {text.name for text in found.texts if text.distance > found.tolerance.warn}
    assert moved == {"paragraph", "near-256-tokens", "beyond-256-tokens", "beyond-512-tokens"}


def test_a_prompt_that_a_provider_adds_is_found(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.behind = HashEncoder(passage_prompt="passage: ")
    assert attest(pipeline).state == "another"


def test_another_dimension_is_another_encoder(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.behind = HashEncoder(dimension=32)
    found = attest(pipeline)
    assert (found.state, found.worst.distance) == ("another", 2.0)


def test_other_rounding_is_drift_and_no_alarm(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.amplitude = 2e-3
    found = attest(pipeline)
    assert found.state == "drifted"
    assert found.tolerance.warn < found.worst.distance < found.tolerance.page


def test_a_noisy_endpoint_is_calibrated_to_its_own_noise(pipeline: Pipeline, encoder: Served) -> None:
    encoder.amplitude = 2e-3
    attest(pipeline)
    assert {attest(pipeline).state for _ in range(20)} == {"same"}
    encoder.behind = HashEncoder(salt=1)
    assert attest(pipeline).state == "another"


def test_an_encoder_that_answers_noise_is_refused_and_leaves_no_reference(pipeline: Pipeline, encoder: Served) -> None:
    encoder.amplitude = 1.0
    with pytest.raises(EncoderError, match="not give the same vector twice"):
        attest(pipeline)
    assert not pipeline.state.notes(KIND)


@pytest.mark.parametrize("distance", [Distance.COSINE, Distance.DOT])
def test_lost_normalisation_matters_where_lengths_do(pipeline: Pipeline, encoder: Served, distance: Distance) -> None:
    attest(pipeline)
    encoder.scale = 5.0
    found = attest(replace(pipeline, distance=distance))
    assert found.lengths_changed
    assert found.worst.length_ratio == pytest.approx(5.0)
    assert found.state == ("drifted" if distance is Distance.COSINE else "another")


def test_a_text_that_is_refused_is_left_out_and_named(pipeline: Pipeline, encoder: Served) -> None:
    encoder.poison = (LONGEST,)
    first = attest(pipeline)
    assert first.refused == ("beyond-512-tokens",)
    assert attest(pipeline).state == "same"
    encoder.poison = (LONGEST, PINNED_TEXTS["beyond-256-tokens"])
    found = attest(pipeline)
    assert (found.state, found.newly_refused) == ("drifted", ("beyond-256-tokens",))


def test_an_encoder_that_refuses_most_texts_is_not_judged(pipeline: Pipeline, encoder: Served) -> None:
    encoder.poison = (" ",)
    with pytest.raises(EncoderError, match="refuses"):
        attest(pipeline)


def test_recorded_versions_that_changed_are_said(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.version = "2"
    found = attest(pipeline)
    assert (found.state, [change.words for change in found.versions]) == ("same", ["runtime 1 → 2"])


def test_a_configured_change_is_another_encoder_with_a_reference_of_its_own(pipeline: Pipeline) -> None:
    attest(pipeline)
    other = replace(pipeline, encoder=Served(salt=3))
    assert attest(other).state == "first use"
    assert attest(pipeline).state == "same"
    assert len(pipeline.state.notes(KIND)) == 2


# --- the reference -------------------------------------------------------------------------------------------


def test_only_accept_replaces_the_reference_and_it_is_logged_with_its_date(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.behind = HashEncoder(salt=1)
    for _ in range(3):
        assert attest(pipeline).state == "another"
    later = replace(pipeline, clock=lambda: datetime(2026, 2, 1, tzinfo=UTC))
    assert accept(later).state == "another"
    assert attest(later).state == "same"
    (note,) = pipeline.state.notes(KIND)
    accepted = note.value["accepted"]
    assert isinstance(accepted, list)
    assert len(accepted) == 1
    entry = accepted[0]
    assert isinstance(entry, dict)
    assert (entry["at"], entry["state"]) == ("2026-02-01T00:00:00+00:00", "another")
    assert accept(later).state == "same"
    assert len(pipeline.state.notes(KIND)[0].value["accepted"]) == 2  # type: ignore[arg-type]


def test_of_two_processes_at_a_first_use_one_writes_and_the_other_compares(pipeline: Pipeline) -> None:
    class Raced(MemoryState):
        def write_note(self, *given: Any, **named: Any) -> None:
            attest(replace(pipeline, state=other))
            super().write_note(*given, **named)

    other = MemoryState()
    raced = Raced(kept_notes=other.kept_notes)
    found = attest(replace(pipeline, state=raced))
    assert (found.state, found.worst.distance) == ("same", 0.0)


@pytest.mark.parametrize(
    "spoil",
    [{"vectors": None}, {"tolerance": {}}, {"vectors": {"word": {"text": "another", "vector": ""}}}, {"recorded": 1}],
)
def test_a_damaged_reference_is_said_and_can_be_replaced(pipeline: Pipeline, spoil: dict[str, Any]) -> None:
    attest(pipeline)
    (note,) = pipeline.state.notes(KIND)
    pipeline.state.write_note(KIND, note.key, {**note.value, **spoil}, START, expected=note.version)
    with pytest.raises(StateError, match="cannot be read") as caught:
        attest(pipeline)
    assert "ragwatch encoder check --accept" in caught.value.hint
    accept(pipeline)
    assert attest(pipeline).state == "same"


def test_texts_that_are_not_pinned_any_more_are_passed_over(pipeline: Pipeline) -> None:
    attest(pipeline)
    (note,) = pipeline.state.notes(KIND)
    vectors = note.value["vectors"]
    assert isinstance(vectors, dict)
    value: dict[str, Json] = {**note.value, "vectors": {**vectors, "withdrawn": {"text": "x", "vector": ""}}}
    pipeline.state.write_note(KIND, note.key, value, START, expected=note.version)
    assert attest(pipeline).state == "same"


def test_the_report_is_json(pipeline: Pipeline, encoder: Served) -> None:
    attest(pipeline)
    encoder.behind = HashEncoder(salt=1)
    value = attest(pipeline).to_json()
    assert value["state"] == "another"
    assert value["worst"] == value["texts"][0]  # type: ignore[index]


# --- an endpoint ---------------------------------------------------------------------------------------------


def test_an_endpoint_that_silently_serves_another_model_is_caught() -> None:
    with EmbeddingServer(HashEncoder()).running() as server:
        settings = EndpointSettings(base_url=server.base_url, model=server.model, expected_dimension=64)
        endpoint = EndpointEncoder(settings)
        pipeline = replace(Bench(MemoryStore()).pipeline, encoder=endpoint)
        assert attest(pipeline).state == "first use"
        assert attest(pipeline).state == "same"
        server.encoder = HashEncoder(salt=1)
        found = attest(pipeline)
        assert (found.state, found.versions) == ("another", ())
        endpoint.close()


def test_an_endpoint_whose_longest_input_is_short_is_still_attested() -> None:
    with EmbeddingServer(HashEncoder()).running() as server:
        server.refused_text = "Rule 20."
        settings = EndpointSettings(base_url=server.base_url, model=server.model, expected_dimension=64)
        endpoint = EndpointEncoder(settings)
        pipeline = replace(Bench(MemoryStore()).pipeline, encoder=endpoint)
        assert attest(pipeline).refused == ("beyond-512-tokens",)
        assert attest(pipeline).state == "same"
        endpoint.close()
