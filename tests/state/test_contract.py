"""The contract of `State` on SQLite, on PostgreSQL and on the fake."""

from tests.state.contract import StateContract
from tests.state.lease_contract import LeaseContract


class TestState(StateContract):
    pass


class TestLeases(LeaseContract):
    pass
