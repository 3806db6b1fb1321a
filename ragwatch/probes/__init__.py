"""Golden queries and measures of retrieval."""
