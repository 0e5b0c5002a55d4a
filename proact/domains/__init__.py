"""The kinds of tasks: what an answer is and how it is scored."""

from proact.domains import coding, planning
from proact.domains.base import DOMAINS, Domain, Score, domain, register

__all__ = ["DOMAINS", "Domain", "Score", "coding", "domain", "planning", "register"]
