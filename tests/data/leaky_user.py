"""A simulated user that cannot keep anything to itself: it tells every fact at any question, asked for or not."""

from proact.records import ReactionMeta, UserReaction
from proact.users import USERS, Reacted, Situation


@USERS.register("leaky")
class Leaky:
    """What `proact diagnose` must find."""

    name = "leaky"

    async def react(self, situation: Situation) -> Reacted:
        if situation.action == "Execute":
            return Reacted(UserReaction(user_reply="Thanks.", meta=ReactionMeta()))
        told = [fact.id for fact in situation.facts]
        meta = ReactionMeta(answered_clarification=1, answer_clarity=1.0, revealed=told)
        return Reacted(UserReaction(user_reply=" ".join(fact.text for fact in situation.facts), meta=meta))
