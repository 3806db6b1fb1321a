"""Other people's chunkers behind the `Chunker` protocol: any callable, and text splitters such as LangChain's.

They cut as they like, so the promises of `Chunker` hold only as far as the wrapped code keeps them: overlap repeats
words, and a splitter may drop some. What is guaranteed here: chunks of nothing but white space are left out, and
every setting, name or version that was given takes part in the fingerprint.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from ragwatch.corpus.document import Chunk, Document, TokenCounter
from ragwatch.corpus.identity import Json, digest_json, normalise
from ragwatch.errors import ConfigError
from ragwatch.patience import CALL_SECONDS, TookTooLongError, call_within

_VERSION = 1


@runtime_checkable
class TextSplitter(Protocol):
    """What LangChain's text splitters, and many others, have in common."""

    def split_text(self, text: str) -> list[str]:
        """Return the pieces of `text` in reading order."""
        ...


SplitText = Callable[[str], Sequence[str]]
SplitDocument = Callable[[Document], Sequence[str | Chunk]]


@dataclass(frozen=True, slots=True)
class CallableChunker:
    """Cuts documents with a callable or a text splitter.

    `splitter` gets the document's text, or the `Document` itself if `takes_document`. `import_name` says where it
    came from ("package.module:Name"), `options` how it was made, `version` which distribution provides it: together
    they are the fingerprint, because code itself cannot be fingerprinted. Equal fingerprints must mean equal cuts,
    so raise `version` (or pass another one) whenever code of your own changes.
    """

    splitter: SplitText | SplitDocument | TextSplitter
    import_name: str
    options: Mapping[str, Json] = field(default_factory=dict)
    version: str = ""
    takes_document: bool = False

    def __post_init__(self) -> None:
        if not self.import_name:
            raise ConfigError("The chunker has no import name", hint='Name it as "package.module:Name".')
        if not callable(self.splitter) and not isinstance(self.splitter, TextSplitter):
            raise ConfigError(
                f"{self.import_name} is neither callable nor has a split_text method",
                hint="Give a function of a text or of a document, or a text splitter.",
            )
        if self.takes_document and not callable(self.splitter):
            raise ConfigError(f"{self.import_name} cannot take a document", hint="Only a callable can.")

    @property
    def fingerprint(self) -> str:
        return digest_json(
            {
                "chunker": "callable",
                "version": _VERSION,
                "import_name": self.import_name,
                "options": dict(self.options),
                "distribution_version": self.version,
                "takes_document": self.takes_document,
            }
        )

    @property
    def max_tokens(self) -> int:
        """0: foreign chunkers promise no length."""
        return 0

    def split(self, document: Document, count_tokens: TokenCounter) -> list[Chunk]:  # noqa: ARG002
        """Return the splitter's chunks. Tokens are not counted: sizes are the splitter's own business.

        Raises `ConfigError` where it returns something else, or does not return (see `ragwatch.patience`).
        """
        if not document.text.strip():
            return []
        try:
            results = call_within(CALL_SECONDS, self._results, document)
        except TookTooLongError:
            raise ConfigError(
                f"{self.import_name} was not done with document {document.key} within {CALL_SECONDS:g} s",
                hint="Call it with that document alone, or leave the document out.",
            ) from None
        chunks = [_chunk(result, self.import_name) for result in results]
        return [chunk for chunk in chunks if normalise(chunk.text)]

    def _results(self, document: Document) -> list[object]:
        if isinstance(self.splitter, TextSplitter) and not self.takes_document:
            results: object = self.splitter.split_text(document.text)
        elif callable(self.splitter):
            results = self.splitter(document if self.takes_document else document.text)  # type: ignore[arg-type]
        else:
            results = None
        if isinstance(results, str) or not isinstance(results, Sequence):
            raise ConfigError(
                f"{self.import_name} returned {type(results).__name__} for document {document.key}",
                hint="It must return a list of texts or of Chunk.",
            )
        return list(results)


def _chunk(result: object, import_name: str) -> Chunk:
    if isinstance(result, Chunk):
        return result
    if isinstance(result, str):
        return Chunk(result)
    raise ConfigError(
        f"{import_name} returned a list with a {type(result).__name__} in it",
        hint="It must return a list of texts or of Chunk.",
    )
