"""Tables of exchangeable parts: name -> (arguments dataclass, 'module:Class').

A part's arguments are a frozen dataclass in a torch-free module, so a mistyped key in a YAML is found
without importing torch; the class itself is imported only when it is built.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sv_py.cli import InputError, near_miss


@dataclass(frozen=True)
class Table:
    """``entries[name] = (arguments dataclass, 'module:Class')``; ``kind`` is its name in messages."""

    kind: str
    entries: dict[str, tuple[type, str]]

    def arguments(self, name: str, where: str = "") -> type:
        """The arguments dataclass of ``name``. Raises InputError that names the near miss."""
        return self._entry(name, where)[0]

    def load(self, name: str) -> type:
        """The class (or function) of ``name``, imported now."""
        module, _, attribute = self._entry(name)[1].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def build(self, name: str, arguments: Any, **data: Any) -> Any:
        """``Class(arguments, **data)``; ``data`` is what only the data knows (input dimension, speakers)."""
        return self.load(name)(arguments, **data)

    def _entry(self, name: str, where: str = "") -> tuple[type, str]:
        if name not in self.entries:
            known = ", ".join(self.entries)
            raise InputError(f"{where}unknown {self.kind} '{name}'{near_miss(name, self.entries)}; known: {known}")
        return self.entries[name]


@dataclass(frozen=True)
class Part:
    """An entry of a table with its arguments: `name: ecapa_tdnn` and `args: {channels: 512}`."""

    name: str
    args: Any


def part(table: Table, default: str | None = None, optional: bool = False, **args: Any) -> Any:
    """A dataclass field that holds a Part of ``table``: ``default`` if left out, or None if ``optional``.

    ``args`` are arguments of ``default`` for which this field has a default of its own.
    """
    if optional:
        return field(default=None, metadata={"table": lambda: table})
    if default is None:
        return field(metadata={"table": lambda: table})
    return field(
        default_factory=lambda: Part(default, table.arguments(default)(**args)), metadata={"table": lambda: table}
    )


def parts(table: Callable[[], Table]) -> Any:
    """A dataclass field that holds a tuple of Parts; a function gives the table, which may hold the dataclass."""
    return field(default=(), metadata={"table": table})
