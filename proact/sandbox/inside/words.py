"""Long lists of names, written as text, and what errors say of themselves."""


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def told(error: BaseException) -> str:
    """An error's class and text; no text where what it holds refuses to be shown, which is up to the candidate."""
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except BaseException:  # noqa: BLE001  a candidate's __str__ may raise anything
        return type(error).__name__
