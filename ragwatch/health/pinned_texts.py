"""Pinned texts: a few dozen fixed sentences that stand for every text an encoder may meet.

An encoder that changes in any way that matters moves at least one of them: another model or pooling moves all, a
prefix moves the short ones most, another window only the long ones, other casing or Unicode rules only those that
show it. A name stands for one text for ever: a changed text gets a new name, so that references stay comparable.
"""

from collections.abc import Mapping
from types import MappingProxyType

PINNED_VERSION = 1
"""Grows with every addition or removal."""

_HANDBOOK = (
    "Parcels that arrive warm are opened at the desk, photographed, and entered in the register before noon.",
    "The driver signs for the number of boxes, never for what is in them, and keeps the yellow copy.",
    "A claim names the order, the day of collection and the person who found the fault; without these it waits.",
    "Refunds above two hundred euros need a second signature, and nobody signs for a claim of their own.",
    "Ice packs go back with the next round; those that leak are counted apart, because the supplier replaces them.",
    "When the cold room stands above eight degrees for an hour, everything in it is held until the manager has looked.",
    "Night deliveries use the side door, whose code changes on the first Monday of each month.",
    "Complaints about taste are answered by the kitchen within two working days, by telephone and not by letter.",
    "Stock that is three days from its date moves to the front shelf and is offered at half the price.",
    "Whoever leaves last checks the gas, the back window and the freezer lid, in that order, and writes the time down.",
)
"""About 22 tokens each, of one kind of prose; the long texts are made of them."""


def _numbered(count: int) -> str:
    """Return `count` sentences, no two alike, so that each place of a long text carries something of its own."""
    return " ".join(f"Rule {place + 1}. {_HANDBOOK[place % len(_HANDBOOK)]}" for place in range(count))


PINNED_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "word": "refund",
        "word-rare": "Pneumonoultramicroscopicsilicovolcanoconiosis",
        "question": "How long do I have to claim a refund for a spoiled parcel?",
        "statement": "The committee approved the budget for the new library on Tuesday.",
        "negation-without": "The warranty covers water damage.",
        "negation-with": "The warranty does not cover water damage.",
        "case-title": "Turkey And China Sign An Agreement",
        "case-upper": "TURKEY AND CHINA SIGN AN AGREEMENT",
        "case-lower": "turkey and china sign an agreement",
        "numbers": "Invoice 2024-00318: 1,299.50 EUR net, 19 % VAT, due 2024-03-31, IBAN ending 0042.",
        "numbers-near": "Invoice 2024-00381: 1,299.50 EUR net, 19 % VAT, due 2024-03-13, IBAN ending 0024.",
        "units": "Store between 2 °C and 8 °C; a dose of 0.5 mL contains 12.5 µg.",
        "code": "def median(values):\n    ordered = sorted(values)\n    return ordered[len(ordered) // 2]",
        "query-language": "SELECT id, total FROM orders WHERE paid = FALSE ORDER BY total DESC LIMIT 10;",
        "log-line": '2024-02-29T23:59:59Z ERROR [worker-7] GET /v1/items?id=42 HTTP/1.1 500 "timeout after 30s"',
        "markup": "## Opening hours\n\n| day | hours |\n|---|---|\n| Mon–Fri | 9:00–17:30 |\n| Sat | closed |",
        "address": "https://example.org/docs/setup?lang=en#install and support@example.org",
        "german": "Die Geschäftsführung prüft größere Änderungen vor der Veröffentlichung.",
        "french": "L'élève a reçu sa réponse après que l'été s'est terminé à Besançon.",
        "spanish": "El envío llegará mañana si el pago se confirma antes de las tres.",
        "turkish": "İstanbul'da ılık bir ilkbahar günü şöyle başladı.",
        "russian": "Договор вступает в силу после подписания обеими сторонами.",
        "greek": "Η βιβλιοθήκη παραμένει κλειστή κατά τις αργίες.",
        "arabic": "يجب إعادة الكتب المستعارة خلال أسبوعين.",
        "hindi": "पुस्तकालय रविवार को बंद रहता है।",
        "chinese": "请在收到货物后七天内提出退款申请。",
        "japanese": "返品は到着後七日以内にお申し込みください。",
        "emoji": "Great job, team! 🎉👩‍🔬🇪🇺 See you on Friday 👋🏽",
        "punctuation": "?!… – — «» “quoted” ‘single’ (brackets) [square] {curly} * # @ & ~ ^",
        "white-space": "Name:\tAda Lovelace\n\nBorn:\t10 December 1815\n\n\nField:\tmathematics",
        "repetition": "again and again and again and again and again and again and again and again",
        "paragraph": _numbered(4),
        "near-256-tokens": _numbered(10),
        "beyond-256-tokens": _numbered(15),
        "beyond-512-tokens": _numbered(28),
    }
)
"""The texts by name, encoded as passages; in this order."""

GUARD_TEXTS = (
    "word",
    "question",
    "negation-without",
    "negation-with",
    "case-title",
    "numbers",
    "code",
    "french",
)
"""Names of those whose query vectors an index carries, so that an application can check its own encoder."""
