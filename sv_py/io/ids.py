"""Ids of utterances, speakers, recordings and sets: a column of a table, and part of a file's name."""


def id_fault(name: str) -> str:
    """Why ``name`` cannot be an id; the empty string if it can."""
    if "/" in name or ".." in name:
        return f"'{name}' holds '/' or '..', which would leave its folder when used as a file name"
    if not name or " " in name or not name.isprintable():  # of all white space only the blank is printable
        return f"{name!r} is empty or holds a space or a character that cannot be seen"
    return ""
