"""Alembic's environment: `env` configures a run, `versions` holds one file per revision, in order."""
