"""The words of Keyring: how a request hints at what it never says in numbers, otherwise in each split."""

from __future__ import annotations

KEYS = {
    "train": ("copper", "brass", "iron", "silver", "steel", "pewter"),
    "test": ("golden", "bronze", "nickel", "zinc", "wooden", "titanium"),
}
Cues = dict[str, dict[float, tuple[str, ...]]]
GUESS_CUES: Cues = {
    "train": {
        0.9: (
            "is cut like every other key of its kind",
            "is of the common sort",
            "is just what one would expect",
            "has the usual cut",
            "is as plain as they come",
            "is a regular one, like in every house",
            "is easy to guess",
            "is no mystery",
        ),
        0.5: (
            "is one of two that look alike",
            "may be either the short or the long one",
            "is a coin toss",
            "comes in two versions and I forget which",
            "is either the old cut or the new one",
            "could be the left or the right one of the pair",
            "might be this one or that one",
            "has a twin that I mix it up with",
        ),
        0.1: (
            "could be cut in any way at all",
            "is unlike anything sold in a shop",
            "was filed by hand long ago",
            "is impossible to guess",
            "has a secret pattern that only I know",
            "was made to order and is most unusual",
            "is strange in every respect",
            "is a riddle to everybody",
        ),
    },
    "test": {
        0.9: ("follows the standard pattern", "holds no surprise"),
        0.5: ("is this or that, I would have to look", "leaves two possibilities"),
        0.1: ("is one of a kind", "nobody would ever get right unaided"),
    },
}
PATIENCE_CUES: Cues = {
    "train": {
        0.95: (
            "Ask me whatever helps, I have the whole evening.",
            "I am glad to go through it with you.",
            "I have plenty of time for questions.",
            "There is no hurry at all, ask away.",
            "Feel free to ask as much as you like.",
        ),
        0.8: (
            "A short question is fine by me.",
            "I can look something up if it must be.",
            "You may ask if you really need to.",
            "I can spare a moment.",
            "One or two questions are all right.",
        ),
        0.5: (
            "I am about to leave the house.",
            "There is a lot going on here right now.",
            "I am rather busy.",
            "I have little time today.",
            "I am in the middle of something else.",
        ),
    },
    "test": {
        0.95: ("Take your time, I enjoy talking about this.",),
        0.8: ("I am around, more or less.",),
        0.5: ("I am between two phone calls.",),
    },
}
SKILL_CUES: Cues = {
    "train": {
        1.0: (
            "The rest is plain work.",
            "Apart from that it is simple.",
            "All else is easy.",
            "Beyond that it is trivial.",
        ),
        0.8: (
            "The rest is a little fiddly.",
            "Apart from that it has a catch or two.",
            "All else is a bit delicate.",
            "Beyond that something may well go wrong.",
        ),
    },
    "test": {1.0: ("Otherwise it is child's play.",), 0.8: ("Otherwise it is somewhat tricky.",)},
}
