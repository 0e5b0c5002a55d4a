"""A simulated user that answers by rule: it says what it knows, only when asked, and only as often as its patience
and expertise allow."""

from __future__ import annotations

from collections import Counter

import msgspec

from proact.records import Fact, ReactionMeta, UserReaction
from proact.text import content_words, questions, words
from proact.text import prose as prose_of
from proact.users import personas as numbers
from proact.users.base import USERS, Reacted, Situation

REFUSALS = (
    "Please stop asking and just do it.",
    "I have no time for questions, just give me your best answer.",
    "No more questions, please. Go ahead with what you have.",
)
VAGUE = (
    "I am not sure how to put that, something sensible.",
    "Hard to say, the usual way I think.",
    "I could not tell you exactly.",
)
NOTHING = "I have nothing to add to what I said."
NOT_MINE = "I cannot tell you anything about that."
PLEASED = "Thanks, that is what I needed."
DISPLEASED = "That is not what I need yet. Please try again."
UNDECIDED = "Thanks."


@USERS.register("rule")
class Rule:
    """The user simulator of DESIGN: patience decides whether it answers, expertise whether it is clear."""

    name = "rule"

    async def react(self, situation: Situation) -> Reacted:
        if situation.action == "Execute":
            return Reacted(to_answer(situation))
        meta = reception(situation)
        if meta.reject_signal or meta.silence:
            return Reacted(concluded(situation, meta, refusal(situation, meta)))
        asked = addressed(situation)
        told = [fact for fact in asked if is_clear(situation, fact)]
        return Reacted(answer(situation, meta, asked, told, " ".join(fact.text for fact in told)))


def to_answer(situation: Situation) -> UserReaction:
    """What the user says to an answer; it knows whether it is satisfied and never names the tests."""
    silent = is_silent(situation)
    reply = {True: PLEASED, False: DISPLEASED, None: UNDECIDED}[situation.completed]
    return concluded(situation, ReactionMeta(silence=int(silent)), "" if silent else reply)


def reception(situation: Situation) -> ReactionMeta:
    """Whether the user will answer a Clarify at all: by patience, less with every question asked before."""
    if is_silent(situation):
        return ReactionMeta(silence=1, off_topic_flag=int(is_off_topic(situation)))
    likely = numbers.ANSWERS[situation.persona.patience] * numbers.WEARIES**situation.asked_before
    rejected = situation.chance("answers").random() >= likely
    return ReactionMeta(reject_signal=int(rejected), off_topic_flag=int(is_off_topic(situation)))


def refusal(situation: Situation, meta: ReactionMeta) -> str:
    return "" if meta.silence else situation.chance("words").choice(REFUSALS)


def answer(situation: Situation, meta: ReactionMeta, asked: list[Fact], told: list[Fact], stated: str) -> UserReaction:
    """The reply to a question: what was stated, else something vague, else that there is nothing to say."""
    if not situation.facts:
        return concluded(situation, msgspec.structs.replace(meta, no_ground_truth=1), NOTHING)
    if not asked:
        return concluded(situation, meta, NOT_MINE)
    meta = msgspec.structs.replace(
        meta,
        answered_clarification=1,
        answer_clarity=round(len(told) / len(asked), 4),
        revealed=[fact.id for fact in told],
    )
    return concluded(situation, meta, stated or situation.chance("words").choice(VAGUE))


def concluded(situation: Situation, meta: ReactionMeta, reply: str) -> UserReaction:
    content = numbers.satisfaction(meta, len(questions(situation.message)))
    return UserReaction(user_reply=reply, meta=msgspec.structs.replace(meta, satisfaction=content))


def is_silent(situation: Situation) -> bool:
    long = len(words(prose_of(situation.message))) > numbers.SILENT_WORDS
    return long and situation.persona.patience == "low"


def is_off_topic(situation: Situation) -> bool:
    """Whether no question shares a content word with the request or the facts; so is a Clarify that asks nothing."""
    asked = frozenset[str]().union(*map(content_words, questions(situation.message)))
    topic = content_words(situation.state.query).union(*(_vocabulary(fact) for fact in situation.facts))
    return not asked & topic


def is_clear(situation: Situation, fact: Fact) -> bool:
    """Whether this user manages to state this fact, by expertise; the same in every branch."""
    return situation.chance(f"clear {fact.id}").random() < numbers.STATES[situation.persona.expertise]


def addressed(situation: Situation) -> list[Fact]:
    """The facts that the message asks for, at most one per question.

    A word that several facts share tells little about which one is meant, so it counts by its rarity among them;
    words of `about` count double.
    """
    facts = situation.facts
    shared = Counter(word for fact in facts for word in _vocabulary(fact))
    found: list[Fact] = []
    for question in questions(situation.message):
        asked = content_words(question)

        def fit(fact: Fact, asked: frozenset[str] = asked) -> float:
            about = content_words(fact.about)
            return sum((2 if word in about else 1) / shared[word] for word in asked & _vocabulary(fact))

        open_facts = [fact for fact in facts if fact not in found]
        best = max(open_facts, key=fit, default=None)
        if best is not None and fit(best) > 0:
            found.append(best)
    return found


def _vocabulary(fact: Fact) -> frozenset[str]:
    return content_words(fact.about) | content_words(fact.text)
