"""Changes of a text that pipelines make by accident: encode them, and the wrong vectors say which it was."""

from collections.abc import Callable, Sequence

from ragwatch.corpus.document import TokenCounter

PREFIXES = ("query: ", "passage: ", "search_query: ", "search_document: ")
"""Those that the E5 and Nomic models ask for: the ones that are given to a model that does not want them."""
WINDOWS = (64, 128, 256, 384, 512)
SPECIAL_TOKENS = 2
"""Of a window, the two are the model's own."""


def text_variants(
    texts: Sequence[str],
    tokens: Sequence[int],
    *,
    count_tokens: TokenCounter | None = None,
    prefixes: Sequence[str] = PREFIXES,
) -> dict[str, list[str]]:
    """Return the changed texts to encode, by what was changed, in words that follow "made with".

    `tokens` are the lengths of `texts`. With `count_tokens` texts are cut after exactly the tokens of a window,
    else about there. Changes that change none of the texts are left out.
    """
    changes: dict[str, Callable[[str], str]] = {
        "the text in lower case": str.lower,
        "line breaks turned into spaces": lambda text: " ".join(text.split()),
        "the first line (a title or heading) left out": lambda text: text.partition("\n")[2].strip() or text,
    }
    found = {f"the prefix {prefix!r}": [prefix + text for text in texts] for prefix in prefixes}
    found |= {name: [change(text) for text in texts] for name, change in changes.items()}
    for window in WINDOWS:
        limit = window - SPECIAL_TOKENS
        found[f"a window of {window} tokens"] = [
            _first_tokens(text, count, limit, count_tokens) for text, count in zip(texts, tokens, strict=True)
        ]
    return {name: changed for name, changed in found.items() if changed != list(texts)}


def _first_tokens(text: str, tokens: int, limit: int, count_tokens: TokenCounter | None) -> str:
    if tokens <= limit:
        return text
    if count_tokens is None:
        return text[: max(1, len(text) * limit // tokens)]
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_tokens([text[:middle]])[0] <= limit else (low, middle - 1)
    return text[:low]
