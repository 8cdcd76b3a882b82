"""Skip work that is done: a `.done` file beside an output says from what it was made."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from sv_py.io.text import write_lines


class Done:
    """``Done(path, parts, outputs)``: whether ``outputs`` are there and were made of these inputs.

    ``parts`` are texts, or paths of which the contents count. ``begin`` before the outputs are touched and
    ``end`` after they are whole, so that a file that says done is never wrong.
    """

    def __init__(self, path: Path, parts: Iterable[str | Path], outputs: Iterable[Path]):
        self.path, self.outputs = path, list(outputs)
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode() if isinstance(part, str) else part.read_bytes() if part.exists() else b""
            digest.update(b"%d:" % len(data) + data)
        self.digest = digest.hexdigest()

    def __bool__(self) -> bool:
        return all(path.exists() for path in (self.path, *self.outputs)) and (
            self.path.read_bytes() == f"{self.digest}\n".encode()
        )

    def begin(self) -> None:
        """Forget an earlier output."""
        self.path.unlink(missing_ok=True)

    def end(self) -> None:
        """The outputs are whole."""
        write_lines(self.path, [self.digest])


def file_states(paths: Iterable[str]) -> str:
    """Size and time of change of each file, without reading them: replaced audio or arks are noticed."""
    states = []
    for path in paths:
        try:
            state = os.stat(path)
        except OSError:  # a pipe, or a file that its reader will miss
            continue
        states.append(f"{path} {state.st_size} {state.st_mtime_ns}\n")
    return "".join(states)
