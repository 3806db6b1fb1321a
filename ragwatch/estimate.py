"""What a plan will cost, from what earlier runs took. Nothing is guessed: unknown is None."""

from collections.abc import Iterable
from dataclasses import dataclass

from ragwatch.corpus.identity import Json
from ragwatch.index.plan import Plan
from ragwatch.ports import RunRecord

MIN_SECONDS = 0.5
"""Shorter measurements are mostly model loading and say nothing about the rate."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Time and money of the encoder calls of a plan; None where there is nothing to go by."""

    seconds: float | None
    price: float | None
    currency: str

    def to_json(self) -> dict[str, Json]:
        return {"seconds": self.seconds, "price": self.price, "currency": self.currency}


def tokens_per_second(runs: Iterable[RunRecord]) -> float | None:
    """Return the rate of the newest run that encoded long enough to be a measurement."""
    for run in runs:
        tokens, seconds = run.summary.get("encoded_tokens"), run.summary.get("encode_s")
        if isinstance(tokens, int) and isinstance(seconds, float | int) and seconds >= MIN_SECONDS and tokens:
            return tokens / seconds
    return None


def estimate(plan: Plan, runs: Iterable[RunRecord], *, price: float | None, currency: str) -> Estimate:
    """Estimate a plan; `price` is per million tokens."""
    tokens = plan.totals.encode_tokens
    rate = tokens_per_second(runs)
    return Estimate(
        seconds=round(tokens / rate, 1) if rate else None,
        price=round(tokens * price / 1e6, 6) if price is not None else None,
        currency=currency,
    )
