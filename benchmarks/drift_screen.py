"""How often the free screen fires, on the matrices of `drift.py`.

Documents are ingested in ten batches, at random or in the order of their paths, one batch by a changed encoder; or
nothing is wrong and the cohorts are the folders of the manual. 300 points are sampled with their ten nearest
neighbours from other documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_variants import Corpus, Variant
from ragwatch.health.cohorts import Neighbourhood, screen
from ragwatch.index.points import Vectors

NEIGHBOURS = 10
BATCHES = 10
SAMPLE = 300
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Screened:
    """What one way of ingesting came to."""

    what: str
    trials: int
    found: int
    """Trials in which the changed batch was called isolated."""
    false: int
    """Trials in which another cohort was."""


def nearest(corpus: Corpus, vectors: Vectors) -> Places:
    """Return the places of each text's nearest neighbours, those of its own document left out."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    documents = np.unique(corpus.documents, return_inverse=True)[1]
    scores = np.where(documents[:, None] == documents, -2, unit @ unit.T)
    found: Places = np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return found


def isolated(cohorts: Sequence[str], near: Places, rng: np.random.Generator) -> set[str]:
    """Sample points and return the cohorts that the screen calls isolated."""
    sample = rng.permutation(len(cohorts))[:SAMPLE]
    points = [Neighbourhood(cohorts[row], tuple(cohorts[place] for place in near[row])) for row in sample]
    names, counts = np.unique(cohorts, return_counts=True)
    sizes = dict(zip(names.tolist(), counts.tolist(), strict=True))
    return {one.name for one in screen(points, sizes) if one.isolated}


def screened(corpus: Corpus, clean: Vectors, variant: Variant | None, trials: int) -> list[Screened]:
    """Run the screen on every way of ingesting; without a variant nothing is wrong."""
    found = []
    for way in ("at random", "in order"):
        hits = false = 0
        for trial in range(trials):
            rng = np.random.default_rng([5, trial])
            cohorts = _batches(corpus, rng if way == "at random" else None)
            changed = str(rng.integers(BATCHES))
            moved = (np.asarray(cohorts) == changed)[:, None]
            vectors = np.where(moved, variant.vectors, clean) if variant else clean
            fired = isolated(cohorts, nearest(corpus, vectors), rng)
            hits += variant is not None and changed in fired
            false += bool(fired - ({changed} if variant else set()))
        found.append(Screened(f"batches {way}", trials, hits, false))
    return found


def screened_folders(corpus: Corpus, clean: Vectors, trials: int) -> Screened:
    """Run the screen on cohorts by folder, nothing wrong: ingestion by subject at its worst."""
    folders = ["/".join(document.split("/")[:-1][:2]) for document in corpus.documents]
    near = nearest(corpus, clean)
    fired = [isolated(folders, near, np.random.default_rng([6, trial])) for trial in range(trials)]
    return Screened("by folder", trials, 0, sum(bool(one) for one in fired))


def _batches(corpus: Corpus, rng: np.random.Generator | None) -> list[str]:
    names = sorted(set(corpus.documents))
    order = rng.permutation(len(names)) if rng else np.arange(len(names))
    batch = {names[place]: str(BATCHES * rank // len(names)) for rank, place in enumerate(order)}
    return [batch[document] for document in corpus.documents]
