"""HTML as nested calls: whatever is not HTML already is escaped."""

from html import escape

VOID = {"meta", "br"}  # elements without an end


class Html(str):
    """Text that is HTML already, and is not escaped again."""

    __slots__ = ()


def join(*children: object) -> Html:
    """Children one after the other; those that are not Html are escaped, None is left out."""
    return Html("".join(c if isinstance(c, Html) else escape(str(c)) for c in children if c is not None))


def tag(element: str, /, *children: object, **attributes: object) -> Html:
    """An element. ``class_`` is the attribute `class`, other `_` are `-`; attributes that are None are left out."""
    words = [element]
    for key, value in attributes.items():
        if value is not None:
            words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(str(value))}"')
    end = "" if element in VOID else f"</{element}>"
    return Html(f"<{' '.join(words)}>{join(*children)}{end}")
