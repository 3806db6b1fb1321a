"""Statements and headings become the questions that a person would ask, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.english import content_words, looks_english, overlap, plain
from ragwatch.health.headings import ask_of_heading, ask_of_term
from ragwatch.health.questions import Wording, questions_of, reads_well

WORDING = Wording(frozenset({"Pebble", "Wren"}), frozenset({"canopy"}))


@pytest.mark.parametrize(
    ("statement", "question"),
    [
        ("An access token is valid for 15 minutes and cannot be renewed.", "How long is an access token valid?"),
        ("A lost key must be reported within one hour.", "How soon must a lost key be reported?"),
        ("The search is closed after eight working days at the latest.", "After how long is the search closed?"),
        ("The forecast is renewed every ten minutes.", "How often is the forecast renewed?"),
        ("The code is made when the courier closes the door, never earlier.", "When is the code made?"),
        ("A code can be taken back until the door opens.", "Until when can a code be taken back?"),
        (
            "Changes to the database are made in two steps, at least a day apart, so that the first can be undone.",
            "Why are changes to the database made in two steps?",
        ),
        ("If the log shows no excursion, a person looks at it.", "What happens if the log shows no excursion?"),
        ("A pickup code has eight digits and is shown in the app.", "How many digits does a pickup code have?"),
        ("Tarnbox is a refrigerated parcel locker.", "What is tarnbox?"),
        ("BACKGROUND Ulcerative colitis is a chronic bowel disease.", "What is ulcerative colitis?"),
        (
            "Patients are treated with filters within 24 hours of ingestion.",
            "How soon are patients treated with filters?",
        ),
        ("The canopy is a roof for one or two towers.", "What is the canopy?"),
        ("A cluster means the grid, a single tower means a plug.", "What does a cluster mean?"),
        ("Pebble Plus subscriptions may be ended at any time.", "May Pebble Plus subscriptions be ended at any time?"),
        (
            "A parcel is *never* split over two bays without consent.",
            "Is a parcel split over two bays without consent?",
        ),
        ("Reminders are not sent between 22:00 and 06:30 unless you ask.", "When are reminders not sent?"),
    ],
)
def test_what_a_statement_answers(statement: str, question: str) -> None:
    assert question in [made.text for made in questions_of(statement, WORDING)]


@pytest.mark.parametrize(
    "statement",
    [
        "It is valid for 15 minutes.",
        "If it shows no excursion, a person looks at the claim.",
        "From November to February plants are accepted only at indoor towers.",
        "A pickup code has eight digits and is shown in the Pebble app as two groups of",
        "lower case fragments are no statements.",
        "Pick a tower in a hall you can enter, so that you can play the recipient yourself.",
        "Ten minutes is enough for a Wren.",
        "The app says that towers are closed.",
        "You have 25 minutes before they warm.",
        "When cultured in milk for a while, the cells differ.",
        "The mouse has three BMP2 receptors.",
    ],
)
def test_what_cannot_be_asked_alone_is_not_asked(statement: str) -> None:
    assert [made.text for made in questions_of(statement, WORDING)] == []


def test_what_only_its_own_page_knows_is_no_definition() -> None:
    made = questions_of("The difference is the offset of the probe.", WORDING)
    assert "definition" not in [one.rule for one in made]


@pytest.mark.parametrize(
    ("heading", "title", "question"),
    [
        ("How to claim", "Refunds", "How do I claim (“Refunds”)?"),
        ("What we do not refund", "", None),
        ("What we do not refund to merchants", "", "What do we not refund to merchants?"),
        ("How long we keep personal data", "", "How long do we keep personal data?"),
        ("How the temperature is measured", "Temperature zones", "How is the temperature measured?"),
        ("Who may press the button", "How we release", "Who may press the button?"),
        ("Which packs count", "Ice packs", "Which packs count?"),
        ("When power comes back", "Power cuts", "What happens when power comes back?"),
        ("Replace a door seal", "", "How do I replace a door seal?"),
        ("1. Find a tower", "First deposit", "How do I find a tower?"),
        ("Asking for more time", "Storage time", "How does asking for more time work?"),
        ("Is it safe?", "Towers", None),
        ("Why is a bay locked?", "Towers", "Why is a bay locked?"),
        ("Delivery fees", "Refunds", "What does “Refunds” say about delivery fees?"),
        ("Storage time", "", "What should I know about storage time?"),
        ("Afterwards", "Power cuts", None),
        ("You need", "Calibration", None),
        ("When they disagree", "Sensors", None),
        ("2. Book", "First deposit", None),
        ("Overview", "Towers", None),
        ("5.1", "Releases", None),
    ],
)
def test_what_a_heading_asks(heading: str, title: str, question: str | None) -> None:
    made = ask_of_heading(heading, title, WORDING)
    assert (made.text if made else None) == question


@pytest.mark.parametrize(
    ("term", "question"),
    [
        ("RESTING DOOR", "What does resting door mean?"),
        ("``melted`` (500)", "What does melted mean?"),
        ("API", "What does API mean?"),
        ("B", "What does B mean in “Alarms”?"),
        ("this", None),
        ("a term of far too many words for a glossary", None),
    ],
)
def test_what_a_term_asks(term: str, question: str | None) -> None:
    made = ask_of_term(term, "Alarms", WORDING)
    assert (made.text if made else None) == question


def test_overlap_is_the_share_of_the_quote_that_is_repeated() -> None:
    assert overlap("How long is a token valid?", "A token is valid for fifteen minutes") == 0.5
    assert overlap("anything", "the of and") == 1.0


def test_markup_is_taken_off() -> None:
    assert (
        plain("See [the *list*](x.md), ``code``, :doc:`pages <p>` and **bold**.")
        == "See the list, code, pages and bold."
    )


def test_other_languages_are_told_from_english() -> None:
    assert looks_english("The tower is closed when it is cold, and a note is on the door.")
    assert looks_english(
        "Replication stress induces bridging at fragile sites, and the cause of it is known to nobody."
    )
    assert not looks_english("De toren is gesloten in de winter, of het is te koud, en over de deur hangt een brief.")
    assert not looks_english("Der Turm ist geschlossen, wenn es kalt ist, und ein Zettel hängt an der Tür.")


@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(["The", "a", "is", "when", "if", "it", ",.", "may", "12", "hours", "(two)", "door"])
    ).map(" ".join)
)
def test_no_text_is_too_odd_and_no_question_points_outside_itself(text: str) -> None:
    for made in questions_of(text + ".", WORDING):
        assert made.text.endswith("?")
        assert reads_well(made.text)
        assert content_words(made.text)
    ask_of_heading(text, text, WORDING)
    ask_of_term(text, text, WORDING)
