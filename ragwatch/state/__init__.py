"""History and caches in SQL. Rows never leave this package."""
