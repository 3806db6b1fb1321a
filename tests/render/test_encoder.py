"""Encoders as people read them; `python -m tests.render.test_encoder` writes the golden files anew."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.app.encoder import Acceptance, EncoderCheck, EncoderDiff, EncoderOverview, KnownEncoder
from ragwatch.auditing.attestation import Attestation, PinnedDistance
from ragwatch.corpus.identity import Json
from ragwatch.health.descriptor import Comparison
from ragwatch.health.tolerance import tolerance_of
from ragwatch.index.encoder_diff import diff_recorded, diff_shapes, verdict
from ragwatch.index.spec import EncoderIdentity, Layout, Manifest
from ragwatch.render.encoder import check_text, diff_text, encoder_text
from ragwatch.render.plain import SafeConsole

GOLDEN = Path(__file__).parent / "golden"
SHAPE: dict[str, Json] = {
    "kind": "sentence-transformers",
    "weights": "53aa51172d142c89d9012cce15ae4d6c",
    "tokenizer": "be50c3628f2bf5bb5e3a7f17b1f74611",
    "configuration": "0d8d3b6f0c8f0d6f0e0a5d3f7b1c9e21",
    "modules": ["Transformer", "Pooling", "Normalize"],
    "pooling": "mean",
    "normalise": True,
    "passage_prompt": "",
    "query_prompt": "[red]query: [/red]",
    "max_length": 256,
    "dimension": 384,
    "precision": "float32",
    "backend": "torch",
}
RECORDED: dict[str, Json] = {"sentence-transformers": "6.2.0", "torch": "2.13.0", "model": "installed package minilm"}
IDENTITY = EncoderIdentity(SHAPE, RECORDED)
CLS = {**SHAPE, "pooling": "cls", "precision": "bfloat16"}
MANIFEST = Manifest(IDENTITY.fingerprint, "c", Layout.PLAIN, 1, SHAPE, {"format": 1})
OTHERS = diff_shapes(CLS, SHAPE)
OVERVIEW = EncoderOverview("docs", IDENTITY, MANIFEST, "", ())

LEVELS = tolerance_of(3e-13, 384)
SAME = Attestation(
    encoder=IDENTITY.fingerprint,
    state="same",
    tolerance=LEVELS,
    texts=tuple(PinnedDistance(f"text-{n}", 2.7e-13 / (n + 1)) for n in range(35)),
    reference_from=datetime(2026, 2, 1, 3, 30, tzinfo=UTC),
)
MOVED = replace(
    SAME,
    state="another",
    texts=tuple(PinnedDistance(f"text-{n}", 0.3 / (n + 1)) for n in range(35)),
    versions=diff_recorded({"torch": "2.12.0"}, {"torch": "2.13.0"}),
)
ROUNDED = replace(SAME, state="drifted", texts=(PinnedDistance("arabic", 1.2e-4), *SAME.texts[1:]))
PASSED = Comparison("same", "refund", 1 - 4e-8, "")
FAILED = Comparison("another", "The warranty [bold]covers[/bold] water damage.", 0.153, "its vectors point elsewhere")
CHECK = EncoderCheck("docs", IDENTITY.fingerprint, (), PASSED, "", SAME)


def diff(before: dict[str, Json], after: dict[str, Json]) -> EncoderDiff:
    changes = diff_shapes(before, after)
    one, other = EncoderIdentity(before), EncoderIdentity(after)
    return EncoderDiff(
        KnownEncoder("index", one.fingerprint, before, {"torch": "2.12.0"}),
        KnownEncoder("new.toml", other.fingerprint, after, {"torch": "2.13.0"}),
        changes,
        diff_recorded({"torch": "2.12.0"}, {"torch": "2.13.0"}),
        verdict(changes),
    )


SCREENS: dict[str, Callable[[], RenderableType]] = {
    "encoder_show": lambda: encoder_text(OVERVIEW),
    "encoder_show_other": lambda: encoder_text(
        replace(OVERVIEW, manifest=replace(MANIFEST, encoder="86c7501268509b5e", encoder_shape=CLS), changes=OTHERS)
    ),
    "encoder_show_unknown": lambda: encoder_text(
        replace(OVERVIEW, manifest=None, problem="there is no collection 'docs' in .ragwatch/index")
    ),
    "encoder_diff": lambda: diff_text(diff(SHAPE, {**CLS, "query_prompt": ""})),
    "encoder_diff_queries": lambda: diff_text(diff(SHAPE, {**SHAPE, "query_prompt": ""})),
    "encoder_diff_same": lambda: diff_text(diff(SHAPE, SHAPE)),
    "encoder_check_same": lambda: check_text(CHECK),
    "encoder_check_first": lambda: check_text(replace(CHECK, pinned=replace(SAME, state="first use"))),
    "encoder_check_rounded": lambda: check_text(replace(CHECK, pinned=ROUNDED)),
    "encoder_check_provider": lambda: check_text(replace(CHECK, queries=FAILED, pinned=MOVED)),
    "encoder_check_settings": lambda: check_text(replace(CHECK, changes=OTHERS, queries=FAILED)),
    "encoder_check_prompt": lambda: check_text(
        replace(CHECK, changes=diff_shapes({**SHAPE, "query_prompt": ""}, SHAPE), queries=FAILED)
    ),
    "encoder_check_unknown": lambda: check_text(
        replace(CHECK, queries=None, problem="collection 'docs' carries no encoder descriptor")
    ),
    "encoder_accepted": lambda: check_text(replace(CHECK, pinned=ROUNDED, acceptance=Acceptance(60, 0, True))),
    "encoder_accepted_here": lambda: check_text(
        replace(CHECK, queries=FAILED, pinned=MOVED, acceptance=Acceptance(60, 58, False))
    ),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 100)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_texts_with_markup_are_shown_as_they_are() -> None:
    assert '"[red]query: [/red]"' in rendered("encoder_show")
    assert "[bold]covers[/bold]" in rendered("encoder_check_provider")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
