"""A corpus of any size: Markdown files of ten short sections, the same words for everybody."""

import random
from itertools import product
from pathlib import Path

from benchmarks.measure import note

SECTIONS = 10
"""Sections in a document; each becomes one chunk."""

_WORDS_A_SECTION = 45
_FILES_A_FOLDER = 1000
_EPOCH = "1"
"""Part of the marker: raise it with every change of what is generated."""

_SYLLABLES = ("ba", "ce", "dor", "fi", "gul", "ka", "lem", "mi", "nor", "pu", "ra", "sen", "tor", "vi", "zu")
_VOCABULARY = ["".join(parts) for length in (2, 3) for parts in product(_SYLLABLES, repeat=length)]


def document_path(root: Path, number: int) -> Path:
    return root / f"{number // _FILES_A_FOLDER:04}" / f"{number:07}.md"


def lay_documents(root: Path, documents: int) -> Path:
    """Write the corpus below `root` unless it is there already, and return `root`."""
    marker = root.with_name(root.name + ".complete")
    if marker.exists() and marker.read_text() == _EPOCH:
        return root
    note(f"writing {documents:,} files to {root}")
    for number in range(documents):
        path = document_path(root, number)
        if not number % _FILES_A_FOLDER:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document_text(number))
    marker.write_text(_EPOCH)
    return root


def document_text(number: int) -> str:
    """Return the Markdown of one document; no section's text occurs in another document."""
    words = random.Random(number).choices(_VOCABULARY, k=SECTIONS * _WORDS_A_SECTION)
    parts = []
    for section in range(SECTIONS):
        body = " ".join(words[section * _WORDS_A_SECTION : (section + 1) * _WORDS_A_SECTION])
        parts.append(f"{'##' if section else '#'} Part {section} of document {number}\n\n{body}.\n")
    return "\n".join(parts)
