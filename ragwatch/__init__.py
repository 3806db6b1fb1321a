"""ragwatch proves that a vector index matches its corpus, and repairs exactly what differs."""

__version__ = "0.1.0"
