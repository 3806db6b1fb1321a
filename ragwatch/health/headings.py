"""From a heading, a title or a defined term to the question that the text below it answers. Pure."""

import re
from zlib import crc32

from ragwatch.health.english import AUXILIARIES, NOT_SUBJECTS, PREPOSITIONS, PRONOUNS, STOP_WORDS, content_words, plain
from ragwatch.health.questions import Question, Wording, reads_well

_HOW_TO = re.compile(r"^how to (.+)$", re.I)
_WE = re.compile(r"^((?:what|how(?: \w+)?|when|where|why|which \w+)) (we|you) (do not |never )?([a-z]+)\b(.*)$", re.I)
_THE = re.compile(
    rf"^(what|how|when|where|why|which \w+) ((?:the|a|an|your|our) .+?) ({'|'.join(sorted(AUXILIARIES))}) (.+)$", re.I
)
_CONDITION = re.compile(r"^(if|when) (\S+ \S+.*)$", re.I)
_IMPERATIVE = re.compile(r"^[A-Z][a-z]+ (?:a|an|the|your) \S", re.A)
_ABOUT = (
    "What does “{page}” say about {head}?",
    "Where can I read about {head}, under “{page}”?",
    "What should I know about {head} (“{page}”)?",
)
"""People do not all ask alike; the heading decides, so that the same corpus gives the same questions."""
_STEP = re.compile(r"^\d+[.)] +")
_BARE = STOP_WORDS | {
    *("overview", "introduction", "summary", "contents", "notes", "note", "see", "references", "appendix", "faq"),
    *("misc", "example", "examples", "warning", "procedure", "check", "checks", "create", "change", "changes"),
    *("cancel", "answer", "call", "mended", "withdrawn", "afterwards"),
}


def ask_of_heading(heading: str, title: str, wording: Wording) -> Question | None:
    """Return the question that a section of this heading answers, in a document of this title.

    None where the heading says too little, or nothing that can be asked for ("Afterwards", "You need").
    """
    whole, page = plain(heading).strip(" .:!"), plain(title).strip(" .:!")
    head = _STEP.sub("", whole)
    words = [word.lower() for word in head.split()]
    if not 1 <= len(words) <= 9 or not re.search(r"[^\W\d]{3}", head) or set(words) <= _BARE:
        return None
    text = _question(head, words, wording)
    if text is None and (head != whole or not _names_something(words)):
        return None
    if text is None and (not page or page == head or len(page.split()) > 7):
        text = f"What should I know about {wording.lower(head)}?" if len(content_words(head)) > 1 else None
    elif text is None:
        text = _ABOUT[crc32(head.encode("utf-8", "replace")) % len(_ABOUT)]
        text = text.format(page=page, head=wording.lower(head))
    elif page and page != head and len(content_words(text)) < 2:
        text = f"{text.removesuffix('?')} (“{page}”)?"
    if text is None or not reads_well(text):
        return None
    return Question(text, "heading" if page and page != head else "title")


def _question(head: str, words: list[str], wording: Wording) -> str | None:
    """Return the heading turned into a question, where it has the shape of a clause."""
    if head.endswith("?"):
        return head
    if words[0] in ("who", "which") or words[:2] in (["what", "happens"], ["what", "counts"]):
        return f"{head}?" if len(words) > 1 else None
    return _asking(head) or _acting(head, words, wording)


def _asking(head: str) -> str | None:
    """Turn "How the bay is cooled" and "What we do not refund" round."""
    if found := _HOW_TO.match(head):
        return f"How do I {found[1]}?"
    if found := _THE.match(head):
        return f"{found[1]} {found[3]} {found[2]} {found[4]}?"
    if not (found := _WE.match(head)):
        return None
    asked, who, negative, verb, rest = found.groups()
    if verb in AUXILIARIES:
        return f"{asked} {verb} {who.lower()}{rest}?"
    return " ".join(f"{asked} do {who.lower()} {(negative or '').removeprefix('do ')} {verb}{rest}?".split())


def _acting(head: str, words: list[str], wording: Wording) -> str | None:
    """Ask for what is done: "Replace a seal", "Choosing a model", "If the seal is stiff"."""
    if found := _CONDITION.match(head):
        clear = found[2].split(maxsplit=1)[0].lower() not in PRONOUNS
        return f"What happens {found[1].lower()} {wording.lower(found[2])}?" if clear else None
    if _IMPERATIVE.match(head) and not words[0].endswith(("s", "ing", "ed")) and words[0] not in STOP_WORDS:
        return f"How do I {wording.lower(head)}?"
    # Of two words the first may as well be an adjective: "opening hours".
    if len(words) > 2 and re.fullmatch(r"[a-z]{3,}ing", words[0]) and not set(words) & (PRONOUNS | {"and"}):
        return f"How does {wording.lower(head)} work?"
    return None


def _names_something(words: list[str]) -> bool:
    """Say whether a heading is a name: not a clause, not an adverb, not a participle alone."""
    if words[0] in (STOP_WORDS | PREPOSITIONS | NOT_SUBJECTS) - {"a", "an", "the", "all", "own"}:
        return False
    if set(words) & (PRONOUNS | {"you"}) or words[0].endswith(("wards", "ly")) or set("".join(words)) & set(",:"):
        return False
    return not (len(words) == 1 and words[0].endswith("ed"))


def ask_of_term(term: str, page: str, wording: Wording) -> Question | None:
    """Return the question that the definition of a term answers; a very short term is asked for by its page."""
    name = plain(re.sub(r" ?\([^()]*\)", "", term)).strip(" .:")
    words = name.split()
    if not 1 <= len(words) <= 5 or not re.search(r"[^\W_]", name) or {word.lower() for word in words} & PRONOUNS:
        return None
    shown = name.lower() if name.isupper() and len(name) > 3 and not any(one.isdigit() for one in name) else name
    # A term shouted in a glossary is a word; a short one is an abbreviation.
    shown = wording.lower(shown) if " " in shown else shown
    about = f" in “{plain(page).strip(' .:')}”" if len(name) < 3 and page else ""
    text = f"What does {shown} mean{about}?"
    return Question(text, "definition") if reads_well(text) else None
