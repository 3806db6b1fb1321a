"""How far two encodings of one text may lie apart before it means something."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Cosine distances (1 - cosine) between two encodings of the same text.

    Up to `warn` a distance is the encoder's own noise; up to `page` it is precision, shown and no finding,
    though near ties may change places (docs/encoder-drift.md); above `page` the vector counts as wrong.
    """

    noise: float
    """Largest distance measured between repeated encodings by the encoder in use."""
    warn: float
    page: float

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= self.warn <= self.page:
            raise ValueError(f"tolerance needs 0 <= noise <= warn <= page: {self.noise}, {self.warn}, {self.page}")
