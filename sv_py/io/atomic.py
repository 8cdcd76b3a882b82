"""Write a file whole or not at all: temporary name, fsync, rename."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def temporary_name(path: Path) -> Path:
    """A name beside ``path`` that two processes, also on two hosts, never share."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")


@contextmanager
def replace_file(path: str | os.PathLike, mode: str = "w") -> Iterator[IO]:
    """Open a temporary file that becomes ``path`` when the block ends without an exception.

    Text is UTF-8 with '\\n' line ends. After a crash at any moment ``path`` is the old file or the new one.
    """
    path = Path(path)
    temporary = temporary_name(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(temporary, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say where
        raise
    sync_directory(path.parent)


@contextmanager
def replace_directory(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """A new empty directory that becomes ``path`` when the block succeeds.

    ``path`` must not exist, or is removed just before if ``overwrite``. Raises FileExistsError at once.
    """
    path = Path(path)
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(errno.EEXIST, "exists already", str(path))
    temporary = temporary_name(path)
    old = temporary.with_suffix(".old")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if overwrite and path.exists():
            os.rename(path, old)
        os.rename(temporary, path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():
            os.rename(old, path)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a rename in ``path`` durable; file systems that cannot are left to themselves."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
