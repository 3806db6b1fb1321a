"""How far a judge is from itself."""

import math
from collections.abc import Sequence

from ragwatch.health.outcomes import Outcome
from ragwatch.probes.ragas_types import Judged, Noise


def noise_of(metric: str, judged: Sequence[Judged]) -> Noise:
    """Measure the noise of one metric from repeats of the same samples.

    With within-sample variances s_i² of r_i repeats, pooled over their degrees of freedom into s², the mean over n
    samples has variance s² · Σ(1/r_i) / n², and the difference of two runs' means twice that; the band is Student's
    97.5 % quantile, of as many degrees of freedom, times its root. Samples that were not put to the judge are left
    out. An answer from the cache counts as the repeat that it was.
    """
    of_sample = [
        [each.value for each in one.repeats if each.outcome is Outcome.OK and each.value is not None]
        for one in judged
        if one.metric == metric
    ]
    most = max(map(len, of_sample), default=0)
    complete = [values for values in of_sample if values and len(values) == most]
    means = tuple(sum(column) / len(complete) for column in zip(*complete, strict=True))
    repeated = [values for values in of_sample if len(values) > 1]
    if not repeated:
        return Noise(metric, 0, None, None, None, means)
    centred = [(values, sum(values) / len(values)) for values in repeated]
    freedom = sum(len(values) - 1 for values in repeated)
    variance = sum((value - mean) ** 2 for values, mean in centred for value in values) / freedom
    of_mean = variance * sum(1 / len(values) for values in repeated) / len(repeated) ** 2
    band = _quantile(freedom) * math.sqrt(2 * of_mean)
    widest = max(max(values) - min(values) for values in repeated)
    return Noise(metric, len(repeated), math.sqrt(variance), widest, band, means)


def _quantile(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
