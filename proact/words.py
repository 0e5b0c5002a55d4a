"""Words as texts are compared by them: folded, stemmed, with numbers written as digits."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MARKS = frozenset(",;:().|/")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|[,;:().|/]")
_THOUSANDS = re.compile(r"(\d{1,3}(?:[.,]\d{3})+)((?:[.,]\d{1,2})?)")
_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_UNITS = {name: number for number, name in enumerate(_NAMES.split())}
_TENS = {
    name: 20 + 10 * place
    for place, name in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"))
}
_CURRENCY = frozenset(("euro", "euros", "eur", "usd", "dollar", "dollars", "gbp", "pound", "pounds"))
_ORDINAL = frozenset(("st", "nd", "rd", "th"))
_IRREGULAR_FORMS = (
    "bought:buy sent:send made:make paid:pay chose:choose chosen:choose held:hold kept:keep found:find "
    "wrote:write written:write took:take taken:take built:build children:child people:person men:man women:woman "
    "spent:spend gave:give given:give brought:bring met:meet ran:run told:tell drew:draw drawn:draw slept:sleep "
    "left:leave went:go gone:go came:come began:begin begun:begin shelves:shelf loaves:loaf halves:half feet:foot "
    "everything:everything something:something anything:anything nothing:nothing evening:evening morning:morning"
)
_IRREGULAR = dict(form.split(":") for form in _IRREGULAR_FORMS.split())
_VOWELS = frozenset("aeiouy")

_FUNCTION = (
    "a an the this that these those each every all any some both either another other such i you he she it we "
    "they me him her us them my your his its our their one ones nobody everybody everyone anyone someone who whom "
    "whose which what when where why how am is are was were be been being do does did have has had will would "
    "shall should can could may might must and or but nor so because since if unless although while whereas as "
    "than then until of in on at by for with from to into onto about around over under above below between among "
    "through during before after without within against near beside besides behind along across per towards up "
    "down off out back not no never only also too very just still already again enough more most less least much "
    "many few ahead early soon later once twice first last next together there here now always often away"
)
FUNCTION_WORDS = frozenset(_FUNCTION.split())


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Cut the ending that a word only has by inflection, so that its forms compare equal."""
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    elif len(word) > 3:
        word = _without_ending(_singular(word))
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word.endswith("y") else word


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _without_ending(word: str) -> str:
    for ending, shortest in (("ation", 4), ("ate", 4), ("ing", 2), ("ied", 2), ("ed", 2), ("ly", 4)):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= shortest and _VOWELS & set(rest) and not word.endswith("eed"):
            return rest + "y" if ending == "ied" else rest
    return word


def words(text: str) -> list[str]:
    """Split a text into lower-case words without accents, numbers as digits, and the marks that end a clause."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
    result: list[str] = []
    for token in _TOKEN.findall(folded):
        if token[0].isdigit():
            result.append(_number(token))
        elif token.endswith(("n't", "n’t")):
            result += [token[:-3], "not"]
        elif token == "cannot":
            result += ["can", "not"]
        elif not (result and result[-1].isdigit() and token in _ORDINAL):
            result.append(token)
    return _without_currency(_digits(result))


def _number(token: str) -> str:
    if found := _THOUSANDS.fullmatch(token):
        token = re.sub(r"[.,]", "", found[1]) + found[2]
    token = token.replace(",", ".")
    whole, point, rest = token.partition(".")
    number = whole.lstrip("0") or "0"
    return number + point + rest if rest.strip("0") else number


def _digits(tokens: list[str]) -> list[str]:
    result: list[str] = []
    at = 0
    while at < len(tokens):
        value, after = _spelled(tokens, at)
        result.append(tokens[at] if value is None else str(value))
        at = after
    return result


def _spelled(tokens: list[str], at: int) -> tuple[int | None, int]:
    """Read the number that is spelled out at a position; also say where it ends."""
    value, after = _below_hundred(tokens, at)
    if value is None and tokens[at] == "dozen":
        return 12, at + 1
    if tokens[after : after + 1] == ["hundred"] and (value or 1) < 100:
        value, after = (1 if value is None else value) * 100, after + 1
        start = after + 1 if tokens[after : after + 1] == ["and"] else after
        rest, end = _below_hundred(tokens, start)
        if rest:
            value, after = value + rest, end
    return value, after if value is not None else at + 1


def _below_hundred(tokens: list[str], at: int) -> tuple[int | None, int]:
    word = tokens[at] if at < len(tokens) else ""
    if word in _UNITS:
        return _UNITS[word], at + 1
    if word not in _TENS:
        return None, at
    unit = _UNITS.get(tokens[at + 1], 0) if at + 1 < len(tokens) else 0
    return (_TENS[word] + unit, at + 2) if 0 < unit < 10 else (_TENS[word], at + 1)


def _without_currency(tokens: list[str]) -> list[str]:
    """Leave out the currency beside an amount, so that `EUR 400`, `€400` and `400 euros` are the number 400."""
    amounts = [token[0].isdigit() for token in tokens]
    return [
        token
        for at, token in enumerate(tokens)
        if token not in _CURRENCY or not (any(amounts[max(at - 1, 0) : at]) or any(amounts[at + 1 : at + 2]))
    ]
