"""What is done today about drift of embeddings, given the same trials as the audit.

None of them encodes anything: they compare what the index holds now with a reference from when it was right.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.drift_encoders import FOLDER
from benchmarks.measure import note
from ragwatch.index.points import Vectors

EVIDENTLY = ("evidently==0.7.23", "pandas<3")
PERMUTATIONS = 200
ALPHA = 0.05
SCORE_DROP = 0.05


@dataclass(frozen=True)
class Seen:
    """What one trial gives a detector: vectors of 300 chunks when all was well, of 300 others now."""

    reference: Vectors
    current: Vectors


def centroid_distance(seen: Seen) -> float:
    """Return 1 - cosine of the two means."""
    one, other = seen.reference.mean(axis=0), seen.current.mean(axis=0)
    return float(1 - one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))


def centroid_rule(clean: Sequence[Seen]) -> Callable[[Seen], bool]:
    """Alarm above the 95th percentile of clean trials: a threshold better than anybody has in practice."""
    limit = float(np.quantile([centroid_distance(seen) for seen in clean], 1 - ALPHA))
    return lambda seen: centroid_distance(seen) > limit


def mmd(seen: Seen) -> bool:
    """Alarm at p < 0.05 of a permutation test on the maximum mean discrepancy, Gaussian kernel, median bandwidth
    (Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", 2012)."""
    both = np.concatenate([seen.reference, seen.current]).astype(np.float64)
    squares = np.square(both).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * both @ both.T, 0)
    kernel = np.exp(-distances / max(float(np.median(distances)), 1e-12))
    signs = np.repeat([1.0, -1.0], [len(seen.reference), len(seen.current)])
    rng = np.random.default_rng(0)
    tried = np.stack([signs, *(rng.permutation(signs) for _ in range(PERMUTATIONS))], axis=1)
    found = np.einsum("ip,ip->p", tried, kernel @ tried)
    return bool((found >= found[0]).mean() < ALPHA)


def score_rule(queries: Vectors, clean: Vectors, stored: Vectors) -> bool:
    """Alarm when the mean of the queries' ten best scores fell by more than 5 %."""

    def mean_score(index: Vectors) -> float:
        scores = queries @ index.T
        return float(np.sort(np.partition(scores, -10, axis=1)[:, -10:]).mean())

    return mean_score(stored) < (1 - SCORE_DROP) * mean_score(clean)


_EVIDENTLY_SCRIPT = """
import json, sys
import numpy as np, pandas as pd
from evidently.legacy.metrics.data_drift.embedding_drift_methods import model
trials = np.load(sys.argv[1], allow_pickle=False)
frames = [[pd.DataFrame(side).add_prefix("e") for side in trial] for trial in trials]
print(json.dumps([bool(model(bootstrap=True)(current, reference)[1]) for reference, current in frames]))
"""


def evidently(trials: Sequence[Seen]) -> list[bool] | None:
    """Return the alarms of Evidently's embedding drift with its default for up to 1,000 rows, None if it is not to be
    had: a classifier of reference against current, alarm above the 95th percentile of chance.

    It runs in an environment of its own, as it wants other versions than ours.
    """
    python = _environment()
    if python is None:
        return None
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        path = Path(folder) / "trials.npy"
        np.save(path, np.stack([np.stack([seen.reference, seen.current]) for seen in trials]))
        done = subprocess.run(
            [str(python), "-c", _EVIDENTLY_SCRIPT, str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        note(f"Evidently failed: {done.stderr[-500:]}")
        return None
    found: list[bool] = json.loads(done.stdout)
    return found


def _environment() -> Path | None:
    folder = FOLDER / "evidently"
    python = folder / "bin" / "python"
    if not python.exists():
        note(f"installing {EVIDENTLY[0]} into an environment of its own")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", "import evidently"], capture_output=True, check=False).returncode:
        command = [str(python), "-m", "pip", "install", "--quiet", *EVIDENTLY]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            note(f"left out: Evidently cannot be installed\n{done.stderr[-500:]}")
            return None
    return python
