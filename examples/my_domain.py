"""A domain of its own: a slogan of eight words at most, scored by the words that it must hold.

Use it with `--plugin examples/my_domain.py` on states like
{"id": "tea", "domain": "slogan", "query": "A slogan for my tea.", "must_mention": ["fresh", "leaf"]}
"""

from proact import domains
from proact.records import State
from proact.sandbox import Result
from proact.text import words

PROMPT = "[system]\nYou write slogans. $profile\n[user]\n{}"


@domains.register("slogan")
class Slogan(domains.Domain):
    prompts = {
        "Clarify": PROMPT.format("Ask me one short question about what is missing. Ask only."),
        "Execute": PROMPT.format("Write the slogan now, and nothing else."),
    }

    def score(self, state: State, message: str, result: Result | None) -> domains.Score:
        said = words(message.casefold())
        found = [word in said for word in state.metadata["must_mention"]]
        share = sum(found) / len(found)
        return domains.Score(value=share if len(said) <= 8 else 0.0, status="scored", tests=found)
