"""Skip work that is done: a `.done` file beside an output says from what it was made."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sv_py.io.text import write_lines


class Done:
    """``Done(path, parts)``: whether the output of these inputs is there already.

    ``parts`` are texts, or paths of which the contents count. ``begin`` before the output is touched and
    ``end`` after it is whole, so that a file that says done is never wrong.
    """

    def __init__(self, path: Path, parts: Iterable[str | Path]):
        self.path = path
        digest = hashlib.sha256()
        for part in parts:
            data = part.encode() if isinstance(part, str) else part.read_bytes() if part.exists() else b""
            digest.update(b"%d:" % len(data) + data)
        self.digest = digest.hexdigest()

    def __bool__(self) -> bool:
        return self.path.exists() and self.path.read_bytes() == f"{self.digest}\n".encode()

    def begin(self) -> None:
        """Forget an earlier output."""
        self.path.unlink(missing_ok=True)

    def end(self) -> None:
        """The output is whole."""
        write_lines(self.path, [self.digest])
