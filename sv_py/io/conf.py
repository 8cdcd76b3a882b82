"""Kaldi's conf files, a line `--some-option=value  # comment` each, and the dataclasses that hold the options."""

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path

from sv_py.cli import InputError, near_miss
from sv_py.io.text import decode_lines, read_lines
from sv_py.registry import Table


def read_conf(path: str | Path, kind: type) -> object:
    """An instance of the dataclass ``kind`` from a conf file.

    Raises InputError with file and line for an unknown option (near miss named), a repeated one or a wrong type.
    """
    return _build(kind, _options(read_lines(path, blank=True), path), path)


def read_part(path: str | Path, option: str, table: Table, default: str) -> tuple[str, object]:
    """Name and arguments of the entry of ``table`` that a conf file describes; a line `--<option>=NAME` chooses it.

    Raises InputError as `read_conf` does.
    """
    return _part(read_lines(path, blank=True), path, option, table, default)


def describe_part(option: str, name: str, arguments: object) -> str:
    """Name and every option of a part as lines of text: `<option>=<name>`, then those of a conf file."""
    values = dataclasses.asdict(arguments)
    return "".join([f"{option}={name}\n", *(f"--{k.replace('_', '-')}={_text(v)}\n" for k, v in values.items())])


def parse_part(text: str, path: str | Path, option: str, table: Table) -> tuple[str, object]:
    """The inverse of `describe_part`; ``path`` is the text's name in messages. Raises InputError."""
    head, *lines = decode_lines(text.encode(), path)
    if not head.startswith(f"{option}="):
        raise InputError(f"expected {option}=NAME, got {head!r}", path, 1)
    return _part([f"--{head}", *lines], path, option, table)


def _part(lines: Iterable[str], path: str | Path, option: str, table: Table, default: str = "") -> tuple[str, object]:
    options = _options(lines, path)
    name, line = options.pop(option, (default, None))
    try:
        kind = table.arguments(name)
    except InputError as error:
        raise InputError(str(error), path, line) from None
    return name, _build(kind, options, path, option)


def _options(lines: Iterable[str], path: str | Path) -> dict[str, tuple[str, int]]:
    """option -> (text of its value, line)."""
    options: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        name, equals, value = text.partition("=")
        option = name.strip().removeprefix("--")
        if not text.startswith("--") or not equals:
            raise InputError(f"expected --option=value, got {text!r}", path, number)
        if option in options:
            raise InputError(f"--{option} a second time", path, number)
        options[option] = value.strip(), number
    return options


def _build(kind: type, options: dict[str, tuple[str, int]], path: str | Path, *others: str) -> object:
    """``kind`` with these options; ``others`` are options that the file may have besides."""
    fields = {f.name.replace("_", "-"): f for f in dataclasses.fields(kind)}
    values: dict[str, object] = {}
    for option, (value, number) in options.items():
        if option not in fields:
            raise InputError(f"unknown option '--{option}'{near_miss(option, [*fields, *others])}", path, number)
        values[fields[option].name] = _convert(value, fields[option].type, option, path, number)
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(str(error), path) from None


def _convert(text: str, kind: type, option: str, path: str | Path, number: int) -> object:
    if kind is bool:
        if text not in ("true", "false"):
            raise InputError(f"--{option} is true or false, not '{text}'", path, number)
        return text == "true"
    try:
        value = kind(text)
    except ValueError:
        raise InputError(f"--{option} is of type {kind.__name__}, not '{text}'", path, number) from None
    if kind is float and not math.isfinite(value):
        raise InputError(f"--{option} is a finite number, not '{text}'", path, number)
    return value


def _text(value: object) -> str:
    """One spelling of each value, which `_convert` reads back as the same: 10 for 10.0, and no digit is lost."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)
