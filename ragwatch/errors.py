"""Errors as types: facts, the next step, and the exit code that a command ends with.

Every error that a user can meet derives from `RagwatchError`. Adapters translate their client library's
errors at their edge, by type or status code, never by searching a message's text.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """The exit codes of every command; they are an interface and do not change meaning."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    PENDING = 4
    REFUSED = 5
    NOT_FOUND = 10
    LEASE_HELD = 11
    UNREACHABLE = 12
    INTERRUPTED = 130


class RagwatchError(Exception):
    """Base of all expected failures.

    `fact` says what is wrong, naming the file, line or key and the value; `hint` says what to do next.
    Neither may contain a secret.
    """

    exit_code: ExitCode = ExitCode.INCOMPLETE

    def __init__(self, fact: str, *, hint: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class ConfigError(RagwatchError):
    """A value in the configuration, the environment or the command line breaks a rule."""

    exit_code = ExitCode.USAGE


class MissingExtraError(ConfigError):
    """The configuration asks for something that an optional dependency provides."""


class NotFoundError(RagwatchError):
    """A collection, plan, run or file that was named does not exist."""

    exit_code = ExitCode.NOT_FOUND


class UnreachableError(RagwatchError):
    """A server, an endpoint or a database did not answer, refused the credentials, or kept failing."""

    exit_code = ExitCode.UNREACHABLE


class StoreUnreachableError(UnreachableError):
    """The vector store did not answer, refused the credentials, or kept failing."""


class EncoderUnreachableError(UnreachableError):
    """The encoder's endpoint, or the hub that has its weights, did not answer, or refused the credentials."""


class LeaseHeldError(RagwatchError):
    """Another process is applying changes to the same collection."""

    exit_code = ExitCode.LEASE_HELD


class LeaseLostError(RagwatchError):
    """Our lease expired and was taken over while we were working; nothing more may be written."""

    exit_code = ExitCode.LEASE_HELD


class OvertakenError(RagwatchError):
    """Another process changed a recorded value after we had read it; ours was not written."""

    exit_code = ExitCode.LEASE_HELD


class RefusedError(RagwatchError):
    """A plan was refused: a guard fired, a precondition no longer holds, or encoders would be mixed."""

    exit_code = ExitCode.REFUSED


class SourceError(RagwatchError):
    """A whole source cannot be listed (as opposed to one document that cannot be read)."""


class DocumentUnreadableError(RagwatchError):
    """One document cannot be turned into text. A finding, never a deletion."""


class EncoderInputError(RagwatchError):
    """The encoder refuses, or produces no usable vector for, some of the texts that it was given.

    `refused` gives the reason by place in the batch, {} where the encoder cannot tell which texts they are. `rows`
    holds what was made of the batch nevertheless, None in the places of the refused; None where nothing was.
    """

    def __init__(
        self,
        fact: str,
        *,
        hint: str = "",
        refused: Mapping[int, str] | None = None,
        rows: Sequence[Any] | None = None,
    ) -> None:
        super().__init__(fact, hint=hint)
        self.refused: Mapping[int, str] = dict(refused or {})
        self.rows = rows


class EncoderError(RagwatchError):
    """The encoder cannot be loaded or does not do what the configuration says (dimension, digest)."""

    exit_code = ExitCode.USAGE


class EncoderMismatchError(RagwatchError):
    """The encoder that was checked is not the index's encoder, or nothing says which that is."""

    exit_code = ExitCode.FINDINGS


class RetrieverError(RagwatchError):
    """One question could not be asked, or the answer is no list of passages. Counted as failed, never as found."""


class NotMeasuredError(RagwatchError):
    """Nothing was measured: nobody was asked, or everything that was asked failed. Unknown, and never good."""


class StoreError(RagwatchError):
    """The vector store refused an operation or holds something that ragwatch cannot work with."""


class StoreBusyError(StoreError):
    """The embedded store is open in another process."""

    exit_code = ExitCode.LEASE_HELD


class StateError(RagwatchError):
    """The state database is damaged, read-only, full, or of an unknown schema version."""


class StateReadOnlyError(StateError):
    """The state database can be read, and not written."""


class ChannelBusyError(RagwatchError):
    """A channel did not take a message this time: no answer, a rate limit, a server error."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, fact: str, *, hint: str = "", after_s: float | None = None) -> None:
        super().__init__(fact, hint=hint)
        self.after_s = after_s
        """Seconds that the channel asked to be left alone."""


class ChannelClosedError(RagwatchError):
    """A channel refuses every message until somebody mends its configuration: revoked, archived, unknown."""

    exit_code = ExitCode.UNREACHABLE


class MessageRefusedError(RagwatchError):
    """A channel refuses one message and would take others."""
