"""Judges whether each answer is polite: proact judge politeness --plugin examples/my_judge.py --model MODEL."""

from proact.judges import Case, Finding, Judge, Reply, Share, Subject, register
from proact.judges.turns import exchanges


class Politeness(Reply):
    politeness: Share


@register("politeness")
class PolitenessJudge(Judge[Politeness]):
    """How polite each answer is, 0 to 1."""

    reply = Politeness
    prompt = '[system]\nHow polite is the answer, from 0 to 1? Reply like {"politeness": 0.5}.\n[user]\n$answer'

    def subjects(self, case: Case) -> list[Subject]:
        turns = exchanges(case.messages, case.start)
        return [Subject(key=f"m{turn.at}", at=turn.at, texts={"answer": turn.answer}) for turn in turns]

    def verdicts(self, subject: Subject, reply: Politeness) -> list[Finding]:
        return [Finding(score=reply.politeness)]
