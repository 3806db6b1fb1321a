"""Random corpora and random edits, for tests that compare a repaired index with one built from nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

Corpus = dict[str, list[str]]
"""Path → paragraphs. A vocabulary of few paragraphs makes equal texts across documents common."""

PATHS = ("a.md", "b.md", "guide/c.md", "guide/d.md", "e.md", "f.md")
PARAGRAPHS = (
    "Refunds are paid within fourteen days of the return reaching our depot.",
    "Refunds are paid within thirty days of the return reaching our depot.",
    "The gateway keeps one year of readings and deletes older ones every night.",
    "# Access\n\nEvery engineer asks for access through the portal, never by mail.",
    "## Limits\n\nA tenant may call the endpoint sixty times a minute.",
    "```\nfleet reboot --all\n```",
    "| plan | seats |\n|---|---|\n| small | 5 |\n| large | 500 |",
    "Call the duty officer first. Then call the depot. Then write it down.",
    "- one\n- two\n- three",
)

paragraphs = st.sampled_from(PARAGRAPHS)
documents = st.lists(paragraphs, min_size=1, max_size=6)
corpora = st.dictionaries(st.sampled_from(PATHS), documents, min_size=1, max_size=5)


@dataclass(frozen=True)
class Edit:
    """One named change of a corpus; it does nothing where it does not apply."""

    name: str
    path: str
    other: str
    paragraph: str
    position: int

    def apply(self, corpus: Corpus) -> Corpus:
        after = {path: list(texts) for path, texts in corpus.items()}
        EDITS[self.name](after, self)
        return {path: texts for path, texts in after.items() if texts} or {"a.md": [PARAGRAPHS[0]]}


def _add(corpus: Corpus, edit: Edit) -> None:
    corpus.setdefault(edit.other, [edit.paragraph])


def _delete(corpus: Corpus, edit: Edit) -> None:
    corpus.pop(edit.path, None)


def _edit(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus:
        texts = corpus[edit.path]
        texts[edit.position % len(texts)] = edit.paragraph


def _insert(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus:
        corpus[edit.path].insert(edit.position % (len(corpus[edit.path]) + 1), edit.paragraph)


def _cut(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus:
        del corpus[edit.path][edit.position % len(corpus[edit.path])]


def _rename(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus and edit.other not in corpus:
        corpus[edit.other] = corpus.pop(edit.path)


def _copy(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus:
        corpus[edit.other] = list(corpus[edit.path])


def _move(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus and edit.other in corpus and edit.path != edit.other:
        texts = corpus[edit.path]
        corpus[edit.other].append(texts.pop(edit.position % len(texts)))


def _reorder(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus:
        texts = corpus[edit.path]
        turn = edit.position % len(texts)
        corpus[edit.path] = texts[turn:] + texts[:turn]


def _rewrap(corpus: Corpus, edit: Edit) -> None:
    if edit.path in corpus:
        corpus[edit.path] = [text if "\n" in text else text.replace(" ", "\n", 1) for text in corpus[edit.path]]


EDITS: dict[str, Callable[[Corpus, Edit], None]] = {
    "add": _add,
    "delete": _delete,
    "edit": _edit,
    "insert": _insert,
    "cut": _cut,
    "rename": _rename,
    "copy": _copy,
    "move": _move,
    "reorder": _reorder,
    "rewrap": _rewrap,
}

edits = st.builds(
    Edit, st.sampled_from(sorted(EDITS)), st.sampled_from(PATHS), st.sampled_from(PATHS), paragraphs, st.integers(0, 9)
)


def texts_of(corpus: Corpus) -> dict[str, str]:
    """Return path → document text."""
    return {path: "\n\n".join(texts) + "\n" for path, texts in corpus.items()}
