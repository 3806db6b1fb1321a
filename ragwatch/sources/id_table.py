"""Where each id of a large listing stands, in 16 bytes an id."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_RECENT = 65_536


class IdTable:
    """Maps ids to positions (integers from 0 to 2**63 - 1) through 64-bit hashes of the ids.

    A hash is not an id: what `find` and `twins` return are candidates, right but for one collision in billions
    of billions, and a caller who cannot live with that looks at the record itself. Adding and asking may alternate.
    """

    def __init__(self) -> None:
        self._recent: dict[int, list[int]] = {}
        self._hashes: NDArray[np.int64] = np.empty(0, np.int64)
        self._positions: NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, document_id: str, position: int) -> None:
        self._recent.setdefault(hash(document_id), []).append(position)
        # A share of the whole, so that the number of merges grows with the logarithm only.
        if len(self._recent) >= max(_RECENT, len(self._hashes) // 16):
            self._merge()

    def find(self, document_id: str) -> list[int]:
        """Return the positions at which `document_id` may stand, lowest first; none: it was not added."""
        wanted = np.int64(hash(document_id))
        first, last = (int(np.searchsorted(self._hashes, wanted, side)) for side in ("left", "right"))
        merged = [int(position) for position in self._positions[first:last]]
        return sorted(merged + self._recent.get(int(wanted), []))

    def twins(self) -> Iterator[tuple[int, int]]:
        """Yield (earlier position, later position) of neighbours whose ids are probably equal."""
        self._merge()
        for index in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]):
            yield int(self._positions[index]), int(self._positions[index + 1])

    def _merge(self) -> None:
        pairs = [(key, position) for key, positions in self._recent.items() for position in positions]
        added = np.array(pairs, np.int64).reshape(-1, 2)
        hashes = np.concatenate([self._hashes, added[:, 0]])
        positions = np.concatenate([self._positions, added[:, 1]])
        order = np.lexsort((positions, hashes))
        self._hashes, self._positions = hashes[order], positions[order]
        self._recent = {}
