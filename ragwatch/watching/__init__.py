"""What a watch works with: what it has seen, freshness, proposals, and the messages that it makes."""
