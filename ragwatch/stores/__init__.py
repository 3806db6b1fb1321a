"""Adapters of vector stores behind the one small port."""
