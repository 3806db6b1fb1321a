"""Ways in which the labels of a point are not such as ragwatch writes. Each gets labels as they were written."""

from collections.abc import Callable, Mapping

from ragwatch.corpus.identity import Json

OTHER = "0123456789abcdef01234567.2"
Reserved = dict[str, Json]
Variant = Callable[[Reserved], Json]


def labels_with(**changed: Json) -> Variant:
    return lambda labels: {**labels, **changed}


def without(*names: str) -> Variant:
    return lambda labels: {name: value for name, value in labels.items() if name not in names}


VARIANTS: Mapping[str, Variant] = {
    "rev is a number": labels_with(rev=7),
    "rev is a number, document gone": lambda _: {"doc": "docs:gone.md", "rev": 7},
    "rev is a float": labels_with(rev=7.5),
    "rev is a truth value": labels_with(rev=True),
    "rev is null": labels_with(rev=None),
    "rev is missing": without("rev"),
    "rev is empty": labels_with(rev=""),
    "rev is an object": labels_with(rev={"value": OTHER}),
    "rev is a list of one": lambda labels: {**labels, "rev": [labels.get("rev")]},
    "rev is a list of two": lambda labels: {**labels, "rev": [labels.get("rev"), "x.2"]},
    "rev is an empty list": labels_with(rev=[]),
    "rev counts nothing": labels_with(rev="abc.notanumber"),
    "rev is too short": labels_with(rev="x.2"),
    "rev has a sign": labels_with(rev="0123456789abcdef01234567.-2"),
    "rev exists nowhere": labels_with(rev=OTHER),
    "doc is a number": labels_with(doc=7),
    "doc is a list": lambda labels: {**labels, "doc": [labels.get("doc")]},
    "doc is missing": without("doc"),
    "doc names no source": labels_with(doc="refunds.md"),
    "doc is empty": labels_with(doc=""),
    "doc is gone, revision of another": labels_with(doc="docs:gone.md"),
    "doc is of another source": labels_with(doc="wiki:refunds.md"),
    "digest is a number": labels_with(digest=1),
    "digest is none": labels_with(digest="zz"),
    "digest is missing": without("digest"),
    "n is a text": labels_with(n="0"),
    "n is negative": labels_with(n=-1),
    "n is a truth value": labels_with(n=False),
    "n is missing": without("n"),
    "encoder is a number": labels_with(encoder=7),
    "encoder is empty": labels_with(encoder=""),
    "sketch is missing": without("sketch"),
    "at is no time": labels_with(at="yesterday"),
    "at is a number": labels_with(at=1735689600),
    "an unknown schema version": labels_with(schema=99),
    "another collection": labels_with(collection="other"),
    "no labels at all": lambda _: {},
    "labels are a list": lambda labels: [labels],
    "labels are a text": lambda _: "docs:refunds.md",
    "labels are a number": lambda _: 1,
    "labels lie one deeper": lambda labels: {"labels": labels},
}
