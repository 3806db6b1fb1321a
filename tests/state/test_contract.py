"""The contract of `Ledger` on SQLite, on PostgreSQL and on the fake."""

from tests.state.contract import StateContract
from tests.state.lease_contract import LeaseContract
from tests.state.ledger_contract import FreshnessContract, IncidentContract, OutboxContract, PrunerContract


class TestState(StateContract):
    pass


class TestLeases(LeaseContract):
    pass


class TestIncidents(IncidentContract):
    pass


class TestOutbox(OutboxContract):
    pass


class TestFreshness(FreshnessContract):
    pass


class TestPruner(PrunerContract):
    pass
