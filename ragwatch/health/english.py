"""The closed classes of English words that rules on sentences need, and text without its markup. Pure."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


AUXILIARIES = _words("is are was were can could may might must should will would cannot")
NUMBER_WORDS = _words(
    "one two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty sixty "
    "seventy eighty ninety hundred thousand"
)
PREPOSITIONS = _words(
    "from in at on during after before with without for by under to of into onto over above below between within "
    "since through towards against about per until beside behind inside outside near"
)
PRONOUNS = _words(
    "it its this that these those they them their he she his her him such here there former latter both either one "
    "which who whose whom what where others another same i we our us"
)
CLAUSE_WORDS = _words(
    "that which who whose whom where when while if because since although though unless until whether what how why "
    "whatever whoever so but after before once as than for"
)
NOT_SUBJECTS = _words(
    "no none nothing nobody neither nor has have had do does did not never only even otherwise then also half"
)
"""Words that no plain subject of a statement holds."""
STOP_WORDS = _words(
    "a an the and or but if of to in on at by for from with without into onto over under as is are was were be been "
    "being am do does did doing done has have had having can could may might must shall should will would cannot not "
    "no nor it its this that these those they them their there here he she his her him i you your we our us me my who "
    "whom whose which what when where why how than then so too very only just also again once each every all any both "
    "few many much more most other some such own same about above below between after before during until while "
    "because through up down out off per via yes"
)
_ENGLISH = _words("the a and of to that for with are this it from by")
"""Words of which other languages have two or three at most."""
_MARKUP = (
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r":[a-z:+-]+:`([^`<]*?)(?: *<[^>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<]*?) <[^>]*>`_+"), r"\1"),
    (re.compile(r"`{1,2}([^`]+)`{1,2}_?"), r"\1"),
    (re.compile(r"(?<!\w)[*_]{1,3}(?=\S)(.+?)(?<=\S)[*_]{1,3}(?!\w)"), r"\1"),
    (re.compile(r"<[^>]{1,80}>"), ""),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!-])"), r"\1"),
)


def plain(text: str) -> str:
    """Return text without the markup of Markdown and reStructuredText inside a line, white space as one space."""
    for pattern, kept in _MARKUP:
        text = pattern.sub(kept, text)
    return " ".join(text.split())


def content_words(text: str) -> list[str]:
    """Return the words that carry meaning, case folded, in order."""
    return [word for word in re.findall(r"\w+(?:[-'’]\w+)*", text.casefold()) if word not in STOP_WORDS]


def overlap(question: str, quote: str) -> float:
    """Return the share of the quote's content words that the question repeats, 0 to 1; 1 for a quote without any."""
    wanted = set(content_words(plain(quote)))
    return len(wanted & set(content_words(question))) / len(wanted) if wanted else 1.0


def looks_english(text: str) -> bool:
    """Say whether the words that only English is made of are a tenth of the text, enough for rules of its grammar."""
    words = re.findall(r"\w+", text.casefold())
    return len(words) > 3 and sum(word in _ENGLISH for word in words) >= 0.1 * len(words)
