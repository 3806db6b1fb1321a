"""The contract of `State` on SQLite, on PostgreSQL and on the fake."""

from tests.state.contract import StateContract


class TestState(StateContract):
    pass
