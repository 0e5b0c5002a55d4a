"""What a sentence of a plan commits to: whether it is a clause at all, and which of its words are negated."""

from __future__ import annotations

from proact.words import FUNCTION_WORDS, MARKS, stem

SHORTEST_CLAUSE = 5

_VERB_LIST = (
    "accept add adjust agree aim allow apply arrange arrive ask assemble assign attend avoid bake begin book "
    "borrow bring build buy calculate call cancel carry celebrate change check choose clean clear close collect "
    "compare complete confirm consult contact cook coordinate correct count create cut cycle decide decorate "
    "deliver depart design determine develop discuss distribute divide do donate draft draw drive eat end enjoy "
    "ensure establish evaluate explain fetch fill find finish fit fix focus fold follow forward fry gather get "
    "give glue go grow hand hang have head help hide hike hire hold host identify implement inform install invest "
    "invite join keep label launch lay lead learn leave lend let limit list load lock look mail make mark measure "
    "meet mix monitor move mow need negotiate note notify observe offer open order organise organize outline pack "
    "paint pay peel pick pile pin place plan plant play post pour practice practise prepare print propose protect "
    "provide prune publish pull purchase push put reach read record recruit redirect reduce register rehearse "
    "remind rent repair repeat replace report request research reserve rest return review reward ride roast "
    "rotate run sand save say schedule screw scrub seal search season seat see select sell send serve set settle "
    "sew share shop show shut sign simmer sit sketch skim sleep slice solve sort sow spend split spread stack "
    "start stay stir stop store strip study subscribe sum support sweep switch take talk tape taste tell test "
    "thank thin tidy tie track train translate travel trim try turn type unpack update upload use verify visit "
    "vote wait walk warm wash watch water wear weed weigh wipe work wrap write"
)
VERBS = frozenset(stem(verb) for verb in _VERB_LIST.split())
_NOUN_ENDINGS = ("ation", "ations", "ing", "ings", "ed")
_VERB_LEADERS = "to we you i they will should can must could let and then please also not first next finally"
_LEADS_A_VERB = frozenset(_VERB_LEADERS.split())

_NEGATOR_LIST = (
    "not no never without skip skipping omit omitting neither nor nobody none avoid avoiding ignore ignoring "
    "exclude excluding"
)
_NEGATORS = frozenset(_NEGATOR_LIST.split())
_NEGATING_PAIRS = frozenset(
    (
        ("instead", "of"),
        ("rather", "than"),
        ("forget", "about"),
        ("forget", "the"),
        ("leave", "out"),
        ("leaving", "out"),
    )
)
_VERBAL = frozenset(("not", "never", "skip", "nobody", "neither", "nor"))
_BETWEEN_WORDS = (
    "be go going spend spending cost costing pay paying take taking use using to get getting let it the total "
    "costs budget bill anything rise rising climb grow accept any that is"
)
_BETWEEN = frozenset(_BETWEEN_WORDS.split())
_LIMIT_LIST = (
    "more over above exceed exceeding exceeds beyond later longer higher less fewer overspend forget skip miss "
    "fail hesitate neglect overlook only just"
)
_LIMITS = frozenset(_LIMIT_LIST.split())
_UNDONE_WORDS = "necessary needed required important worth happen matter planned something anything option"
_UNDONE = frozenset(_UNDONE_WORDS.split())
_REMOVED = frozenset(("skipped", "omitted", "dropped", "cancelled", "ignored"))
_TURN_LIST = "but instead however by so because since then unless although while whereas otherwise except"
_TURNS = frozenset(_TURN_LIST.split())
_FINITE_WORDS = "am is are was were will would shall should can could may might must has have does gets"
_FINITE = frozenset(_FINITE_WORDS.split())
_AFRESH_WORDS = "i you we they he she it just simply please then"
_STARTS_AFRESH = frozenset(_AFRESH_WORDS.split())


def is_clause(tokens: list[str]) -> bool:
    """Tell a sentence that does something from a bare list of keywords."""
    plain = [token for token in tokens if token not in MARKS]
    function = sum(token in FUNCTION_WORDS for token in plain)
    if len(plain) < SHORTEST_CLAUSE or not function:
        return False
    verbs = sum(_is_verb(token) for token in plain)
    return (function + verbs) / len(plain) >= 0.2 and not _is_list(tokens)


def _is_list(tokens: list[str]) -> bool:
    """Recognise nouns between commas: mostly short parts, and none of them with a verb in a verb's place."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token in MARKS:
            parts.append([])
        else:
            parts[-1].append(token)
    parts = [part for part in parts if part]
    acting = [_has_verb(part) for part in parts]
    if any(acting[:2]) or 3 * sum(acting) > len(parts):
        return False
    short = sum(sum(token not in FUNCTION_WORDS for token in part) <= 2 for part in parts)
    finite = any(token in _FINITE for token in tokens)
    return (short >= 3 and short >= 0.6 * len(parts)) or (len(parts) >= 4 and not finite)


def _has_verb(part: list[str]) -> bool:
    return len(part) > 1 and any(
        _is_verb(token) and not token.endswith(_NOUN_ENDINGS) and (at == 0 or part[at - 1] in _LEADS_A_VERB)
        for at, token in enumerate(part)
    )


def _is_verb(token: str) -> bool:
    return token not in FUNCTION_WORDS and stem(token) in VERBS


def negated(tokens: list[str]) -> list[bool]:
    """Mark the words that a negation takes back: those after it up to a turn, or those before `is not needed`."""
    marks = [False] * len(tokens)
    at = 0
    while at < len(tokens):
        if not _negates(tokens, at):
            at += 1
            continue
        if _affirms(tokens, at):
            at += 2
            continue
        end = _scope(tokens, at)
        marks[at + 1 : end] = [True] * (end - at - 1)
        if _takes_back_subject(tokens, at):
            start = at
            while start and tokens[start - 1] not in MARKS and tokens[start - 1] not in _TURNS and not marks[start - 1]:
                start -= 1
                marks[start] = True
        at = end
    return marks


def has_negator(tokens: list[str]) -> bool:
    """Tell whether a phrase is itself about absence, such as `no meat`."""
    return any(_negates(tokens, at) for at in range(len(tokens)))


def _negates(tokens: list[str], at: int) -> bool:
    token = tokens[at]
    if token in _NEGATORS or token == "unnecessary" or (token, *tokens[at + 1 : at + 2]) in _NEGATING_PAIRS:
        return True
    return token in _REMOVED and tokens[at - 1 : at] == ["be"] or token == "left" and tokens[at + 1 : at + 2] == ["out"]


def _affirms(tokens: list[str], at: int) -> bool:
    """Recognise `don't forget`, `no more than` and `must not cost more`, which ask for the thing itself."""
    for token in tokens[at + 1 : at + 7]:
        if token in _LIMITS:
            return True
        if token not in _BETWEEN:
            return False
    return False


def _scope(tokens: list[str], at: int) -> int:
    for end in range(at + 1, len(tokens)):
        token, after = tokens[end], tokens[end + 1] if end + 1 < len(tokens) else ""
        verb_next = _is_verb(after) and not after.endswith("ing")
        if token in _TURNS or (token in MARKS and token != ","):
            return end
        if token == "," and (verb_next or after in _STARTS_AFRESH or after in _TURNS or _new_subject(tokens, end + 1)):
            return end
        if token == "and" and verb_next and tokens[at] not in _VERBAL:
            return end
    return len(tokens)


def _new_subject(tokens: list[str], at: int) -> bool:
    """Recognise, after a comma, a clause of its own (`half the menu is ...`) and not one more thing of a list."""
    for token in tokens[at : at + 8]:
        if token in MARKS:
            return False
        if token in _FINITE:
            return True
    return False


def _takes_back_subject(tokens: list[str], at: int) -> bool:
    if tokens[at] in _REMOVED or tokens[at] in ("unnecessary", "left"):
        return True
    after = tokens[at + 1 : at + 4]
    if tokens[at] == "not" and any(token in _UNDONE for token in after):
        return True
    passive = after[:1] in (["be"], ["been"]) or bool(
        after and after[0].endswith("ed") and tokens[at - 1 : at] in (["is"], ["are"])
    )
    return tokens[at] in ("not", "never") and passive
