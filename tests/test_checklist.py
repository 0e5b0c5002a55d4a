"""The planning score agrees with people on labelled plans, and word tricks do not raise it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proact.domains.checklist import coverage
from proact.records import ChecklistItem, State
from proact.words import stem, words

ROOT = Path(__file__).parent.parent
EMPTY_KINDS = {"keyword-list", "question", "negated", "headings", "promises", "recital"}

PARTY: list[ChecklistItem | str] = [
    ChecklistItem(id="venue", text="Books a venue.", concepts=[["venue", "place"], ["book", "reserve"]]),
    ChecklistItem(id="budget", text="Stays under 400 euro.", concepts=[["budget", "cost", "total"], ["400 euros"]]),
    ChecklistItem(id="guests", text="Invites the guests.", concepts=[["guest"], ["invite", "invitation"]]),
    ChecklistItem(id="diet", text="Has food without meat.", concepts=[["no meat", "vegetarian"], ["food", "dish"]]),
]


def rows(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / path).read_text("utf-8").splitlines()]


def states() -> dict[str, State]:
    return {row["id"]: msgspec.convert(row, State) for row in rows("data/seeds/tasks.jsonl")}


def covered(plan: str, request: str = "") -> set[str]:
    return {name for name, found in coverage(PARTY, plan, request=request).items() if found}


@pytest.mark.parametrize(("name", "least"), [("labelled_plans", 0.95), ("more_plans", 0.95)])
def test_scorer_agrees_with_the_labels(name: str, least: float) -> None:
    known = states()
    right = total = 0
    for row in rows(f"tests/data/{name}.jsonl"):
        for item, found in coverage(known[row["state"]].checklist or [], row["plan"]).items():
            right += found == (item in row["covered"])
            total += 1
    assert right / total >= least


@pytest.mark.parametrize("name", ["labelled_plans", "more_plans"])
def test_tricks_alone_cover_nothing(name: str) -> None:
    known = states()
    tricks = [row for row in rows(f"tests/data/{name}.jsonl") if row["kind"] in EMPTY_KINDS and not row["covered"]]
    assert tricks
    for row in tricks:
        assert not any(coverage(known[row["state"]].checklist or [], row["plan"]).values()), row["plan"]


def test_labelled_plans_are_as_many_and_as_mixed_as_promised() -> None:
    kinds = [row["kind"] for row in rows("tests/data/labelled_plans.jsonl")]
    assert len(kinds) == 40
    assert kinds.count("paraphrase") >= 14
    assert sum(kind not in {"good", "paraphrase", "partial"} for kind in kinds) >= 12


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("Reserve a nice place for the party.", {"venue"}),
        ("**Step 1:** The venues were booked by Ann in May.", {"venue"}),
        ("- [ ] Book a *vénue* for the whole team", {"venue"}),
        ("Keep the total below four hundred euros please.", {"budget"}),
        ("All costs should stay within EUR 400 this time.", {"budget"}),
        ("Send invitations to all of the guests in April.", {"guests"}),
        ("Serve food that has no meat in it.", {"diet"}),
        ("```short```\nReserve a nice place for the party.", {"venue"}),
        ("1. **Venue**\n   - Reserve it for the whole day on Friday.", {"venue"}),
        ("1. We look at three venues in town:\n   - book the nicest of them", {"venue"}),
        ("2. Think about the guests first. They all get an invitation in May.", {"guests"}),
    ],
)
def test_paraphrase_markdown_and_structure_are_understood(plan: str, expected: set[str]) -> None:
    assert covered(plan) == expected


@pytest.mark.parametrize(
    "plan",
    [
        "venue, book, budget, 400, guests, invite, food, vegetarian",
        "- venue booking\n- budget 400\n- guests invitations",
        "Important things: the venue, booking, the guests, invitations, a budget, 400.",
        "venue book reserve budget cost total 400 euros guest invite invitation",
        "Shall we book a venue for the team?",
        'Would you like to invite the guests by mail?"',
        "Could you tell me whether to book a venue.",
        "There is no need to book a venue for the party.",
        "Skip booking a venue and inviting guests to the party.",
        "Don't book a venue, a caterer or a band this time.",
        "Booking a venue is unnecessary for such a small group.",
        "A venue does not have to be booked at all.",
        "We can do without a venue that needs to be booked.",
        "## Book a venue for the party\n## Invite the guests to your home",
        "```\nBook a venue for the whole team.\n```",
        "> Book a venue for the whole team.",
        "~~Book a venue for the whole team.~~",
        "This plan covers booking a venue and inviting the guests.",
        "Book the train. The venue is nice and it is large.",
    ],
)
def test_words_without_a_step_cover_nothing(plan: str) -> None:
    assert covered(plan) == set()


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("Don't forget to book a venue for the party.", {"venue"}),
        ("The total cost must not exceed 400 euros.", {"budget"}),
        ("Never go over the budget of 400 euros.", {"budget"}),
        ("Avoid the crowds by booking a small venue in March.", {"venue"}),
        ("Instead of booking a venue, invite the guests to your home.", {"guests"}),
    ],
)
def test_negation_reaches_as_far_as_it_does_in_english(plan: str, expected: set[str]) -> None:
    assert covered(plan) == expected


def test_one_sentence_covers_two_items_at_most_however_often_it_is_said() -> None:
    everything = "Book a venue and invite the guests with vegetarian food within a total of 400 euros.\n"
    assert covered(everything) == {"venue", "budget"}
    assert covered(everything * 5) == {"venue", "budget"}


def test_repeating_the_request_is_no_step() -> None:
    request = "Please book a venue for our team and keep it cheap."
    assert covered(request, request) == set()
    assert covered(f"{request}\n1. Book the venue for all of us in May.", request) == {"venue"}


def test_a_step_that_equals_the_item_counts() -> None:
    item = ChecklistItem(id="keys", text="Hand over the keys of the old flat.")
    assert coverage([item], "1. Hand over the keys of the old flat.") == {"keys": True}
    assert coverage([item], "# Hand over the keys of the old flat.") == {"keys": False}


def test_plain_items_are_named_by_position_and_need_most_of_their_words() -> None:
    items: list[ChecklistItem | str] = ["Book a venue for the team", PARTY[2], "Order vegetarian lunch for 18 people"]
    plan = "- We booked a big venue for you.\n- Lunch is at noon for all of us."
    assert coverage(items, plan) == {"item-1": True, "guests": False, "item-3": False}


@pytest.mark.parametrize(
    "plan", ["", " \n", "我们订酒店。请客人。", "Réservez un lieu pour la fête", "\x00\ud800*_#", "1."]
)
def test_any_text_is_scored_without_a_crash(plan: str) -> None:
    assert covered(plan) == set()
    assert coverage(["", "订酒店"], plan)["item-1"] is False


def test_inflected_forms_share_a_stem() -> None:
    for forms in (
        "book booked booking books",
        "plan planned planning plans",
        "reserve reserved reservation",
        "box boxes",
    ):
        assert len({stem(form) for form in forms.split()}) == 1
    assert stem("venue") != stem("van")


def test_numbers_are_written_as_digits_without_currency() -> None:
    assert words("€400") == words("400 euros") == words("EUR 400") == words("four hundred euros") == ["400"]
    assert words("twenty-five, 1,200.00 and May 8th") == ["25", ",", "1200", "and", "may", "8"]
