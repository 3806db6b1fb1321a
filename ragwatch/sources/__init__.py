"""Adapters that read documents: files, SQL, JSONL and Parquet."""
