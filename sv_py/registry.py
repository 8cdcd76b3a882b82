"""Tables of exchangeable parts: name -> (arguments dataclass, 'module:Class').

A part's arguments are a frozen dataclass in a torch-free module, so a mistyped key in a YAML is found
without importing torch; the class itself is imported only when it is built.
"""

import importlib
from dataclasses import dataclass
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
