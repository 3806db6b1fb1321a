"""Reports as text and as JSON, from the same values."""
