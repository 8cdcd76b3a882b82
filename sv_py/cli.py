"""What every command line has in common: errors a user can act on, strict options, one exit path.

Imported by every command, so it stays light: no numpy, no torch.
"""

import argparse
import difflib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

VERSION = "0.1.0"  # of the package


class InputError(Exception):
    """Something the user gave us is wrong. Shown as one message without a traceback; exit status 1.

    ``path`` and ``line`` (1-based) name the place, as compilers do: ``data/utt2spk:3: three columns``.
    """

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None):
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + message)
        self.message, self.path, self.line = message, path, line


def near_miss(name: str, known: Iterable[str]) -> str:
    """' (did you mean 'x'?)' for the known name that is closest to ``name``, or the empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{found[0]}'?)" if found else ""


class Parser(argparse.ArgumentParser):
    """An argument parser without abbreviations, that names the near miss of an unknown option."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("formatter_class", argparse.ArgumentDefaultsHelpFormatter)
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str):
        """Print ``message`` with the near miss of an unknown option, and end with status 2."""
        unknown = next((a for a in sys.argv[1:] if a.startswith("--") and a in message.split()), None)
        if "unrecognized arguments" in message and unknown:
            message += near_miss(unknown.split("=")[0], self._option_string_actions)
        self.exit(2, f"{self.prog}: {message}\n{self.format_usage()}")


def first_few(items: Iterable[str], n: int = 3) -> str:
    """'a, b, c and 7 more', for messages about many ids."""
    items = list(items)
    shown = ", ".join(items[:n])
    return shown if len(items) <= n else f"{shown} and {len(items) - n} more"


def share_of_job(job: str, total: int) -> range:
    """The items, of ``total``, that are those of a job 'N/J', the N-th of J jobs. Raises InputError."""
    number, _, jobs = job.partition("/")
    if not (number.isdecimal() and jobs.isdecimal() and 1 <= int(number) <= int(jobs)):
        raise InputError(f"a job is N/J with 1 <= N <= J, not '{job}'")
    return range(total * (int(number) - 1) // int(jobs), total * int(number) // int(jobs))


def command(main: Callable[[], int | None]) -> None:
    """Run ``main`` as a process: input errors are one line on stderr and exit status 1."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends us quietly, as other Unix tools
    try:
        code = main()
    except InputError as error:
        print(f"{_program()}: error: {error}", file=sys.stderr)
        code = 1
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"{_program()}: error: {place}{error.strerror}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except Exception:  # a defect; not by the interpreter's own way out, where torch may wait for other processes
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    if "torch" in sys.modules:  # interpreter shutdown with torch loaded costs half a second
        sys.stderr.flush()
        os._exit(code or 0)
    sys.exit(code or 0)


def _program() -> str:
    """The command's name: that of its module, or of its package."""
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem
