"""Encoders made of algebra: texts are points of a small space, each encoder a map of its own into a large one."""

from dataclasses import dataclass

import numpy as np

from ragwatch.health.geometry import unit
from ragwatch.index.points import Vectors

TEXTS, LATENT, DIMENSION = 300, 24, 192


@dataclass(frozen=True)
class World:
    """The same texts under two encoders, and the ways to get vectors wrong."""

    seed: int

    def encode(self, encoder: int, *, prefix: float = 0.0, blur: float = 0.0) -> Vectors:
        """Encode all texts; `prefix` moves them all in one direction, `blur` each in its own."""
        latent = self._draw(0, (TEXTS, LATENT)) * np.linspace(2, 0.5, LATENT)
        basis = self._draw(encoder, (LATENT, DIMENSION))
        common, moved = self._draw(encoder + 100, (2, DIMENSION)) * 4
        own = self._draw(encoder + 200, (TEXTS, DIMENSION)) * 2
        errors = self._draw(encoder + 300, (TEXTS, DIMENSION)) * blur
        return unit((common + latent @ basis + own + prefix * moved + errors).astype(np.float32))

    def noise(self) -> Vectors:
        return unit(self._draw(999, (TEXTS, DIMENSION)).astype(np.float32))

    def _draw(self, stream: int, shape: tuple[int, int]) -> Vectors:
        drawn: Vectors = np.random.default_rng([self.seed, stream]).standard_normal(shape).astype(np.float32)
        return drawn
