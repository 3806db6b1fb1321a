"""What one document may cost. Beyond it, it is an unreadable document, and costs no more until it changes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one document, on top of the size of its file."""

    expanded_bytes: int = 200_000_000
    """Bytes that an archive format (DOCX, PPTX) unpacks to, and that the text of any converted document has."""
    record_bytes: int = 20_000_000
    """Bytes of one line of JSON, or of the text of one row."""
    nesting: int = 200
    """Elements of HTML inside one another."""
    seconds: float = 60.0
    """CPU seconds of converting one document."""
    memory_bytes: int = 1_000_000_000
    """Memory that converting one document may take beside that of the converter itself."""


DEFAULT = Limits()
