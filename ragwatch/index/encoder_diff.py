"""What differs between two encoders, in words, and whether vectors made by the one can serve the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ragwatch.corpus.identity import Json
from ragwatch.index.spec import Distance

MIGRATE = "ragwatch migrate plan"
DIGEST_SHOWN = 8
_DIGESTS = frozenset({"weights", "tokenizer", "configuration"})


class Effect(StrEnum):
    """What a changed field alone does to the vectors that are stored; the values are an interface (JSON)."""

    INVALIDATES = "invalidates"
    QUERIES = "queries_only"
    MEASURE = "usually_harmless"
    NOTHING = "none"

    @property
    def words(self) -> str:
        return _EFFECT_WORDS[self]


_EFFECT_WORDS = {
    Effect.INVALIDATES: "stored vectors become invalid",
    Effect.QUERIES: "stored vectors stay valid, query vectors change",
    Effect.MEASURE: "usually harmless; an audit tells",
    Effect.NOTHING: "nothing by itself",
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an encoder that is not what it was."""

    field: str
    before: Json
    after: Json
    meaning: str
    effect: Effect
    why: str

    @property
    def words(self) -> str:
        """Return "pooling mean → cls"."""
        return f"{self.field} {value_words(self.field, self.before)} → {value_words(self.field, self.after)}"

    def to_json(self) -> dict[str, Json]:
        return {
            "field": self.field,
            "before": self.before,
            "after": self.after,
            "meaning": self.meaning,
            "effect": str(self.effect),
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class _Field:
    meaning: str
    effect: Effect
    why: str


_FIELDS: Mapping[str, _Field] = {
    "kind": _Field(
        "where the encoder runs: in this process or behind an endpoint",
        Effect.MEASURE,
        "settings cannot say whether both run one model; measuring can",
    ),
    "model": _Field(
        "the name under which the endpoint serves the model",
        Effect.INVALIDATES,
        "another name is taken for another model",
    ),
    "weights": _Field(
        "the model's weights (digest of the files)", Effect.INVALIDATES, "other weights give other vectors"
    ),
    "tokenizer": _Field(
        "how text is cut into tokens (digest of the file)", Effect.INVALIDATES, "the model reads other tokens"
    ),
    "configuration": _Field(
        "the model's architecture and tokenizer settings (digest)", Effect.INVALIDATES, "the weights compute otherwise"
    ),
    "modules": _Field("the steps from tokens to a vector", Effect.INVALIDATES, "a step was added, removed or replaced"),
    "pooling": _Field(
        "how token vectors become one vector", Effect.INVALIDATES, "another pooling gives another vector space"
    ),
    "normalise": _Field(
        "whether vectors are scaled to length 1",
        Effect.INVALIDATES,
        "directions stay and lengths change: harmless under cosine distance, wrong under the others",
    ),
    "passage_prompt": _Field(
        "text put before every passage", Effect.INVALIDATES, "stored passages were encoded with the other prompt"
    ),
    "query_prompt": _Field(
        "text put before every query", Effect.QUERIES, "passages are encoded without it, queries move"
    ),
    "max_length": _Field(
        "tokens that are read of a text", Effect.INVALIDATES, "texts longer than the shorter window get other vectors"
    ),
    "dimension": _Field(
        "numbers in a vector", Effect.INVALIDATES, "vectors of different lengths cannot be compared at all"
    ),
    "precision": _Field(
        "number format of the computation", Effect.MEASURE, "the same weights, rounded otherwise: cosine about 0.9999"
    ),
    "backend": _Field(
        "program that runs the weights", Effect.MEASURE, "the same weights computed by another program"
    ),
}  # fmt: skip
_UNKNOWN = _Field("a setting of this kind of encoder", Effect.INVALIDATES, "nothing is known that makes it harmless")
_RECORDED = _Field(
    "recorded beside the fingerprint", Effect.NOTHING, "a version alone changes no vector; an audit tells"
)
_ENDPOINT_WINDOW = _Field(
    "tokens that the configuration says the endpoint reads",
    Effect.MEASURE,
    "the endpoint cuts by its own limit, whatever is configured here",
)
_COSINE_NORMALISE = _Field(
    "whether vectors are scaled to length 1", Effect.MEASURE, "directions stay, and cosine distance sees nothing else"
)


def diff_shapes(
    before: Mapping[str, Json], after: Mapping[str, Json], *, distance: Distance | None = None
) -> tuple[FieldChange, ...]:
    """Return what differs between two `EncoderIdentity.shape`s, what invalidates first.

    Where one runs here and the other behind an endpoint, only what both say is compared. `distance` is the
    collection's, where it is known: under cosine a dropped normalisation does not matter.
    """
    names = [name for name in (*_FIELDS, *sorted({*before, *after} - _FIELDS.keys())) if {name} & {*before, *after}]
    if before.get("kind") != after.get("kind"):
        # A window that is not known is 0, a dimension that is not known is None.
        names = [name for name in names if before.get(name) not in (None, 0) and after.get(name) not in (None, 0)]
    changed = [name for name in names if before.get(name) != after.get(name)]
    endpoint = "endpoint" in (before.get("kind"), after.get("kind"))
    found = [_change(name, before, after, _meaning(name, distance, endpoint=endpoint)) for name in changed]
    return tuple(sorted(found, key=lambda change: list(Effect).index(change.effect)))


def diff_recorded(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[FieldChange, ...]:
    """Return which recorded facts (library versions, device, address) differ, of those that both sides state.

    None of them invalidates by itself.
    """
    names = [name for name in sorted(before) if before[name] and after.get(name)]
    return tuple(_change(name, before, after, _RECORDED) for name in names if before[name] != after[name])


def _meaning(name: str, distance: Distance | None, *, endpoint: bool) -> _Field:
    if name == "normalise" and distance is Distance.COSINE:
        return _COSINE_NORMALISE
    if name == "max_length" and endpoint:
        return _ENDPOINT_WINDOW
    return _FIELDS.get(name, _UNKNOWN)


def meaning_of(name: str) -> str:
    """Say in words what a field of a shape is."""
    return _FIELDS.get(name, _UNKNOWN).meaning


def _change(name: str, before: Mapping[str, Json], after: Mapping[str, Json], known: _Field) -> FieldChange:
    return FieldChange(name, before.get(name), after.get(name), known.meaning, known.effect, known.why)


def value_words(name: str, value: Json) -> str:
    """Return a field's value as a person reads it."""
    if value in (None, "", []):
        return "(not said)" if value is None else "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        shown = value[:DIGEST_SHOWN] if name in _DIGESTS else value
        return f'"{shown}"' if name.endswith("_prompt") else shown
    if name == "max_length" and value == 0:
        return "(no limit known)"
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


def change_words(changes: Sequence[FieldChange]) -> str:
    """Return all changes in one line: "weights 53aa5117 → 9b1c22d0, pooling mean → cls"."""
    return ", ".join(change.words for change in changes)


def verdict(changes: Sequence[FieldChange], *, before: str = "the first", after: str = "the second") -> str:
    """Return one sentence: what these changes mean for an index made by the encoder that is called `before`."""
    by_effect = {
        effect: ", ".join(change.field for change in changes if change.effect is effect)
        for effect in Effect
        if any(change.effect is effect for change in changes)
    }
    if Effect.INVALIDATES in by_effect:
        return (
            f"Vectors that {before} made cannot serve {after} ({by_effect[Effect.INVALIDATES]}): "
            f"an index moves from one to the other with `{MIGRATE}`."
        )
    if Effect.QUERIES in by_effect and Effect.MEASURE not in by_effect:
        return f"Stored vectors stay valid; only query vectors change ({by_effect[Effect.QUERIES]})."
    if Effect.MEASURE in by_effect:
        queries = " Query vectors change too." if Effect.QUERIES in by_effect else ""
        return f"Usually harmless ({by_effect[Effect.MEASURE]}): `ragwatch audit` measures whether it is.{queries}"
    return "Both are the same encoder by every setting that shapes vectors."
