"""Fixtures of the sources' tests."""

import pytest

from tests.servers.postgres import postgres_database as postgres_database
from tests.servers.postgres import postgres_server as postgres_server

pytest.register_assert_rewrite("tests.sources.contract")
