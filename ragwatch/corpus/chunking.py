"""The default chunker: sections, then blocks, merged into chunks whose cuts stay put when text is edited.

How it cuts. A document is taken apart into sections and their blocks, and blocks that are too long alone into
words. Inside each section neighbours are then merged again, pair by pair, as long as the result fits. The order of
the merges decides where cuts remain:

1. by rank of the boundary (`_Rank`): headings are joined to their body first, then words to sentences, sentences to
   blocks, blocks to the block they introduce, blocks of one kind to each other, and different kinds last;
2. inside one rank by a hash of the few words on either side of the boundary.

Neither looks at positions, so an edit moves only the cuts beside it. A counter that fills chunks from the top moves
every cut below an edit instead.

Prose, code and version notes ("changed in 5.0") are edited at different times, so they share a chunk only up to
`mixed_tokens`, or where one side is too small to stand alone.

Hashes and sizes are taken of normalised text: re-wrapping, indentation, line ends and blank lines move no cut.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

from ragwatch.corpus.document import Chunk, Document, TokenCounter
from ragwatch.corpus.identity import digest_json, normalise
from ragwatch.corpus.sections import Block, BlockKind, Section, split_sections
from ragwatch.errors import ConfigError

_VERSION = 1
"""Part of the fingerprint. Raise it with every change that can move a cut."""

_EDGE_WORDS = 2
"""Words hashed on each side of a boundary: an edit further inside a block leaves its boundaries alone."""

_JOIN_TOKENS = 1
"""Tokens that joining two texts may add: subword tokenizers see a word after a space differently."""

_CHARACTERS_PER_TOKEN = 10
"""No text counts fewer tokens than this allows: WordPiece makes one unknown token of a word of any length."""

_SLICE = 32
_SLICE_CONTEXT = 4
_LEAST_MAX_TOKENS = 16

_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]}*_`]*\s*$")
_WIDE_SENTENCE_END = frozenset("。！？")
_WORD = re.compile(r"\s*\S+\s*")


class _Rank(IntEnum):
    """Boundaries in the order in which they are merged."""

    HEADING_BODY = 0
    HEADINGS = 1
    IN_WORD = 2
    WORDS = 3
    SENTENCES = 4
    INTRODUCTION = 5
    BLOCKS = 6


_KIND_BIT = {
    BlockKind.HEADING: 0,
    BlockKind.TARGET: 0,
    BlockKind.PROSE: 1,
    BlockKind.VERBATIM: 2,
    BlockKind.NOTE: 4,
}
_FRONT = (BlockKind.HEADING, BlockKind.TARGET)


class _Piece(NamedTuple):
    """A block, or a word of a block that is too long. `rank` is that of the boundary after it.

    `kinds` is the bit of the block's kind; a block that introduces another counts as that one.
    """

    text: str
    size: int
    rank: _Rank
    kinds: int
    first: tuple[str, ...]
    last: tuple[str, ...]


@dataclass(frozen=True)
class SectionChunker:
    """Cuts documents at headings, and long sections at boundaries that their own words choose.

    Guarantees, beside those of `Chunker`: no chunk holds text of two sections; the chunk that opens a section holds
    its heading; no chunk has more than `max_tokens` tokens, provided that a space between two words costs no token
    of its own (true of WordPiece, SentencePiece and byte-pair encoders) and a character at most four; edits of white
    space alone change no chunk's digest; the tokenizer is called at most twice per document.

    `max_tokens` is the encoder's window without its special tokens. `mixed_tokens` caps chunks that mix prose, code
    and version notes: equal to `max_tokens`, every section that fits stays whole; lower, less is re-encoded when only
    one kind changes. Pieces below `min_tokens` are mixed regardless.
    """

    max_tokens: int = 254
    mixed_tokens: int = 170
    min_tokens: int = 30

    def __post_init__(self) -> None:
        if self.max_tokens < _LEAST_MAX_TOKENS:
            raise ConfigError(f"max_tokens is {self.max_tokens}", hint=f"Use at least {_LEAST_MAX_TOKENS} tokens.")
        for name, tokens in (("mixed_tokens", self.mixed_tokens), ("min_tokens", self.min_tokens)):
            if not 0 <= tokens <= self.max_tokens:
                raise ConfigError(f"{name} is {tokens}", hint=f"Use 0 to max_tokens, which is {self.max_tokens}.")

    @property
    def fingerprint(self) -> str:
        return digest_json(
            {
                "chunker": "section",
                "version": _VERSION,
                "max_tokens": self.max_tokens,
                "mixed_tokens": self.mixed_tokens,
                "min_tokens": self.min_tokens,
            }
        )

    def split(self, document: Document, count_tokens: TokenCounter) -> list[Chunk]:
        sections = split_sections(document)
        texts = [normalise(block.text) for section in sections for block in section.blocks]
        sizes = _count(texts, count_tokens)
        word_sizes = self._count_words(sections, sizes, count_tokens)
        chunks: list[Chunk] = []
        offset = 0
        for section in sections:
            end = offset + len(section.blocks)
            pieces = list(self._pieces(section, sizes[offset:end], word_sizes))
            chunks.extend(Chunk(text, section.headings) for text in self._merge(pieces))
            offset = end
        return chunks

    def _count_words(self, sections: Sequence[Section], sizes: list[int], count_tokens: TokenCounter) -> dict[str, int]:
        """Count the words of all blocks that have to be cut, in one call."""
        words: dict[str, int] = {}
        offset = 0
        for section in sections:
            for number in self._too_long(section, sizes[offset : offset + len(section.blocks)]):
                words.update((word.strip(), 0) for word, _ in self._words(section.blocks[number]))
            offset += len(section.blocks)
        return dict(zip(words, _count(list(words), count_tokens), strict=True)) if words else {}

    def _too_long(self, section: Section, sizes: list[int]) -> Iterator[int]:
        """Yield the numbers of the blocks that fit no chunk, their headings included where they open the section."""
        front = 0
        for number, (block, size) in enumerate(zip(section.blocks, sizes, strict=True)):
            if front + size > self.max_tokens:
                yield number
            front = front + size + _JOIN_TOKENS if block.kind in _FRONT else 0

    def _words(self, block: Block) -> Iterator[tuple[str, _Rank]]:
        """Yield the block's words with the rank of the boundary after each; very long words come in slices."""
        longest = self.max_tokens // 4
        for word in _WORD.findall(block.text):
            *slices, last = _slices(word, longest) if len(word.strip()) > longest else [word]
            for part in slices:
                yield part, _Rank.SENTENCES if part[-1] in _WIDE_SENTENCE_END else _Rank.IN_WORD
            if block.kind is BlockKind.VERBATIM:
                ends = "\n" in last[len(last.rstrip()) :]
            else:
                ends = bool(_SENTENCE_END.search(last)) or last.rstrip()[-1] in _WIDE_SENTENCE_END
            yield last, _Rank.SENTENCES if ends else _Rank.WORDS

    def _pieces(self, section: Section, sizes: list[int], word_sizes: dict[str, int]) -> Iterator[_Piece]:
        too_long = set(self._too_long(section, sizes))
        ranks = [_rank(block, follower) for block, follower in pairwise((*section.blocks, section.blocks[-1]))]
        for number, (block, kinds) in enumerate(zip(section.blocks, _kinds(section.blocks), strict=True)):
            if number not in too_long:
                words = normalise(block.text)
                first, last = words.split(" ", _EDGE_WORDS), words.rsplit(" ", _EDGE_WORDS)
                edges = tuple(first[:_EDGE_WORDS]), tuple(last[-_EDGE_WORDS:])
                yield _Piece(block.text, sizes[number], ranks[number], kinds, *edges)
                continue
            parts = list(self._words(block))
            for position, (part, rank) in enumerate(parts):
                word = part.strip()
                size = word_sizes[word]
                if rank is _Rank.IN_WORD or (position and parts[position - 1][1] is _Rank.IN_WORD):
                    # No tokenizer's cuts line up with ours inside a word, so assume the worst.
                    size = max(size, len(word))
                rank = ranks[number] if position == len(parts) - 1 else rank
                yield _Piece(part, size, rank, kinds, (word,), (word,))

    def _merge(self, pieces: list[_Piece]) -> Iterator[str]:
        """Merge neighbours while they fit, and yield the texts that remain."""
        starts, ends = list(range(len(pieces))), list(range(len(pieces)))
        sizes, kinds = [piece.size for piece in pieces], [piece.kinds for piece in pieces]
        for right in _merge_order(pieces):
            left, end = starts[right - 1], ends[right]
            rank = pieces[right - 1].rank
            size = sizes[left] + sizes[right] + (0 if _Rank.IN_WORD <= rank <= _Rank.SENTENCES else _JOIN_TOKENS)
            mixed = kinds[left] | kinds[right]
            if size <= self._limit(mixed, min(sizes[left], sizes[right])):
                sizes[left], kinds[left], ends[left], starts[end] = size, mixed, end, left
        begin = 0
        while begin < len(pieces):
            end = ends[begin] + 1
            yield _trim("".join(piece.text for piece in pieces[begin:end]))
            begin = end

    def _limit(self, kinds: int, smaller: int) -> int:
        one_kind = kinds & (kinds - 1) == 0
        return self.max_tokens if one_kind or smaller < self.min_tokens else self.mixed_tokens


def _count(texts: list[str], count_tokens: TokenCounter) -> list[int]:
    counts = count_tokens(texts) if texts else []
    return [max(count, -(-len(text) // _CHARACTERS_PER_TOKEN)) for text, count in zip(texts, counts, strict=True)]


def _slices(word: str, longest: int) -> list[str]:
    """Cut a word where its own characters say so, so that slices recur when something is inserted before them."""
    most = min(_SLICE, longest)
    least = most // 4
    slices: list[str] = []
    begin = len(word) - len(word.lstrip())
    for end in range(begin + 1, len(word.rstrip())):
        length = end - begin
        context = word[max(0, end - _SLICE_CONTEXT) : end].encode("utf-8", "surrogatepass")
        if length >= most or (length >= least and crc32(context) % least == 0) or word[end - 1] in _WIDE_SENTENCE_END:
            slices.append(word[begin:end])
            begin = end
    return [*slices, word[begin:]]


def _rank(block: Block, follower: Block) -> _Rank:
    if block.kind in _FRONT:
        return _Rank.HEADINGS if follower.kind in _FRONT else _Rank.HEADING_BODY
    return _Rank.INTRODUCTION if block.leads else _Rank.BLOCKS


def _kinds(blocks: Sequence[Block]) -> list[int]:
    kinds = [_KIND_BIT[block.kind] for block in blocks]
    for number in range(len(blocks) - 2, -1, -1):
        if blocks[number].leads and kinds[number]:
            kinds[number] = kinds[number + 1] or kinds[number]
    return kinds


def _merge_order(pieces: list[_Piece]) -> list[int]:
    """Return the numbers of the pieces that follow a boundary, in the order in which boundaries are merged."""

    def key(right: int) -> tuple[int, bool, bytes]:
        left = pieces[right - 1]
        before = (*(pieces[right - 2].last if right > 1 else ()), *left.last)[-_EDGE_WORDS:]
        after = (*pieces[right].first, *(pieces[right + 1].first if right + 1 < len(pieces) else ()))[:_EDGE_WORDS]
        context = " ".join((*before, "\n", *after)).encode("utf-8", "surrogatepass")
        crosses = left.rank is _Rank.BLOCKS and left.kinds != pieces[right].kinds
        return left.rank, crosses, hashlib.blake2b(context, digest_size=8).digest()

    return sorted(range(1, len(pieces)), key=key)


def _trim(text: str) -> str:
    """Drop blank lines above and white space below; the first line keeps its indentation, which code needs."""
    text = text.rstrip()
    blank = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, blank) + 1 :]
