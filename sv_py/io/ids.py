"""Ids of utterances, speakers, recordings and sets: a column of a table, and part of a file's name."""


def id_fault(name: str) -> str:
    """Why ``name`` cannot be an id; the empty string if it can."""
    if "/" in name or ".." in name:
        return f"'{name}' holds '/' or '..', which would leave its folder when used as a file name"
    if not name or not name.isprintable() or any(c.isspace() for c in name):
        return f"{name!r} is empty or holds a space or a character that cannot be seen"
    return ""
