"""What every `State` promises about leases."""

from datetime import UTC, datetime, timedelta

import pytest

from ragwatch.errors import LeaseHeldError, LeaseLostError
from ragwatch.ports import Lease, State
from tests.state.conftest import Opener

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class LeaseContract:
    """Runs on every implementation through the fixtures `state` and `open_again`."""

    def test_a_free_lease_is_taken(self, state: State) -> None:
        assert state.acquire_lease("docs", "me", NOW, 60) == Lease("docs", "me", 1, NOW + MINUTE)

    def test_a_held_lease_is_refused_and_its_holder_named(self, state: State, open_again: Opener) -> None:
        state.acquire_lease("docs", "host-1:4711", NOW, 60)
        with pytest.raises(LeaseHeldError, match="host-1:4711"):
            open_again().acquire_lease("docs", "me", NOW + MINUTE - timedelta(microseconds=1), 60)

    def test_our_own_lease_is_taken_again(self, state: State) -> None:
        first = state.acquire_lease("docs", "me", NOW, 60)
        again = state.acquire_lease("docs", "me", NOW + timedelta(seconds=30), 60)
        assert (again.token, again.expires) == (first.token, NOW + timedelta(seconds=90))

    def test_collections_have_leases_of_their_own(self, state: State) -> None:
        state.acquire_lease("docs", "me", NOW, 60)
        assert state.acquire_lease("wiki", "you", NOW, 60).holder == "you"

    def test_an_expired_lease_is_taken_over_with_a_higher_token(self, state: State, open_again: Opener) -> None:
        first = state.acquire_lease("docs", "me", NOW, 60)
        second = open_again().acquire_lease("docs", "you", NOW + MINUTE, 60)
        assert second.token > first.token

    def test_a_lease_that_was_taken_over_cannot_be_renewed(self, state: State, open_again: Opener) -> None:
        first = state.acquire_lease("docs", "me", NOW, 60)
        open_again().acquire_lease("docs", "you", NOW + 2 * MINUTE, 60)
        with pytest.raises(LeaseLostError, match="me"):
            state.renew_lease(first, NOW + 2 * MINUTE, 60)

    def test_a_lease_is_lost_for_good_even_if_the_other_gave_it_back(self, state: State) -> None:
        first = state.acquire_lease("docs", "me", NOW, 60)
        state.release_lease(state.acquire_lease("docs", "you", NOW + 2 * MINUTE, 60))
        with pytest.raises(LeaseLostError):
            state.renew_lease(first, NOW + 2 * MINUTE, 60)

    def test_renewing_extends(self, state: State) -> None:
        renewed = state.renew_lease(state.acquire_lease("docs", "me", NOW, 60), NOW + MINUTE / 2, 60)
        assert renewed == Lease("docs", "me", 1, NOW + 1.5 * MINUTE)
        with pytest.raises(LeaseHeldError):
            state.acquire_lease("docs", "you", NOW + MINUTE, 60)

    def test_an_expired_lease_that_nobody_took_can_be_renewed(self, state: State) -> None:
        lease = state.acquire_lease("docs", "me", NOW, 60)
        assert state.renew_lease(lease, NOW + 5 * MINUTE, 60).expires == NOW + 6 * MINUTE

    def test_a_lease_given_back_is_free_and_tokens_go_on_growing(self, state: State) -> None:
        first = state.acquire_lease("docs", "me", NOW, 60)
        state.release_lease(first)
        second = state.acquire_lease("docs", "you", NOW, 60)
        state.release_lease(second)
        third = state.acquire_lease("docs", "me", NOW, 60)
        assert first.token < second.token < third.token

    def test_giving_back_a_lost_lease_does_nothing(self, state: State) -> None:
        first = state.acquire_lease("docs", "me", NOW, 60)
        second = state.acquire_lease("docs", "you", NOW + 2 * MINUTE, 60)
        state.release_lease(first)
        with pytest.raises(LeaseHeldError):
            state.acquire_lease("docs", "me", NOW + 2 * MINUTE, 60)
        state.release_lease(second)
        state.release_lease(second)
