"""Sources: files (`files`), rows of a SQL query (`sql`), records of JSON Lines and Parquet files (`records`).

Import the module of the kind that is needed; each pulls in the libraries of that kind alone.
"""
