"""Text for people: how a value that may be long is shown in a message, and how advice follows one."""

SHOWN_LENGTH = 60
CUT = "…"


def shorten(text: str, length: int = SHOWN_LENGTH) -> str:
    """Return `text`, or where it is longer than `length` its beginning and its end, with a mark where it is cut."""
    if len(text) <= length:
        return text
    # The end is what tells ids apart, and where an id continues with something that it must not have.
    end = (length - len(CUT)) // 2
    return f"{text[: length - len(CUT) - end]}{CUT}{text[len(text) - end :]}"


def add_advice(sentence: str, advice: str) -> str:
    """Return a sentence with advice after it, if there is any; AWS's own messages end in a full stop."""
    return f"{sentence.removesuffix('.')}; {advice}" if advice else sentence
