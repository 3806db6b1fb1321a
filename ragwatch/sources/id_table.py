"""Where each id of a large listing stands, in 16 bytes an id."""

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class IdTable:
    """Maps ids to positions (integers from 0 to 2**63 - 1) through 64-bit hashes of the ids.

    A hash is not an id: what `find` and `twins` return are candidates, right but for one collision in billions
    of billions, and a caller who cannot live with that looks at the record itself. Add first, then `seal`, then ask.
    """

    def __init__(self) -> None:
        self._adding: tuple[array[int], array[int]] = (array("q"), array("q"))
        self._hashes: NDArray[np.int64] = np.empty(0, np.int64)
        self._positions: NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._hashes) + len(self._adding[0])

    def add(self, document_id: str, position: int) -> None:
        self._adding[0].append(hash(document_id))
        self._adding[1].append(position)

    def seal(self) -> None:
        """End the adding and make the table searchable."""
        hashes, positions = (np.frombuffer(column, np.int64) for column in self._adding)
        order = np.lexsort((positions, hashes))
        self._hashes, self._positions = hashes[order], positions[order]
        self._adding = (array("q"), array("q"))

    def find(self, document_id: str) -> list[int]:
        """Return the positions at which `document_id` may stand, lowest first; none: it was not added."""
        wanted = hash(document_id)
        first, last = np.searchsorted(self._hashes, [wanted, wanted + 1] if wanted < 2**63 - 1 else [wanted, wanted])
        if wanted == 2**63 - 1:
            last = len(self._hashes)
        return [int(position) for position in self._positions[first:last]]

    def twins(self) -> Iterator[tuple[int, int]]:
        """Yield (earlier position, later position) of neighbours whose ids are probably equal."""
        for index in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]):
            yield int(self._positions[index]), int(self._positions[index + 1])
