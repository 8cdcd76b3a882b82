"""Read an experiment's YAML strictly: every key and type is checked against the schema before anything runs.

No inheritance, no interpolation, no aliases, nothing executed. Errors name file, line and near miss.
"""

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from sv_py.cli import InputError, Parser, command, near_miss
from sv_py.io.atomic import replace_file
from sv_py.schema import SECTIONS, Config, Part

# YAML 1.1 takes 1e-3 for a string; everybody else takes it for a number
_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_STR, _INT, _NUMBER, _BOOL, _NULL = (f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null"))


def load(path: str | Path, overrides: list[str] = ()) -> Config:
    """The checked configuration of ``path`` after ``a.b=value`` overrides. Raises InputError."""
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", path)
    root = _compose(path.read_text(encoding="utf-8"), str(path))
    for override in overrides:
        _override(root, override)
    return _read(Config, root, "", str(path))


def to_dict(value: Any) -> Any:
    """Plain dicts, lists and scalars of a configuration or a part of it."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_dict(v) for v in value]
    return value


def from_dict(values: dict, source: str) -> Config:
    """The configuration that ``to_dict`` gave; ``source`` is named in errors (a checkpoint's path)."""
    return _read(Config, _compose(yaml.safe_dump(values), source), "", source)


def dump(config: Config, keys: tuple[str, ...] | None = None) -> str:
    """YAML text of the whole configuration, or of some of its top-level keys."""
    values = to_dict(config)
    return yaml.safe_dump({k: v for k, v in values.items() if keys is None or k in keys}, sort_keys=False)


def lookup(config: Config, key: str) -> Any:
    """The value at a dotted key such as ``hold_out.min_frames`` or ``phases.0.epochs``."""
    value: Any = to_dict(config)
    for part in key.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            known = list(value) if isinstance(value, dict) else []
            raise InputError(f"no key '{key}': unknown '{part}'{near_miss(part, known)}")
    return value


def _compose(text: str, source: str) -> yaml.Node:
    """The node tree of YAML ``text``; every node carries its line."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InputError("aliases (*name) are not used here", source)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise InputError(f"not YAML: {error.problem}", source, error.problem_mark.line + 1) from None
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {error}", source) from None
    if root is None:
        raise InputError("is empty", source)
    return root


def _override(root: yaml.Node, override: str) -> None:
    """Put the value of ``a.b=value`` into the tree; the schema judges it later, as if it stood in the file."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"--set {override}: expected key=value")
    value = _compose(text or "''", f"--set {override}")
    value.override = override
    node, parts = root, key.split(".")
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(node, yaml.SequenceNode):
            if not part.isdigit() or int(part) >= len(node.value):
                raise InputError(f"--set {override}: '{part}' is not one of the {len(node.value)} entries (0, 1...)")
            if last:
                node.value[int(part)] = value
            node = node.value[int(part)]
            continue
        if not isinstance(node, yaml.MappingNode):
            raise InputError(f"--set {override}: '{parts[depth - 1]}' has no keys")
        found = next((i for i, (k, _) in enumerate(node.value) if k.value == part), None)
        if last or found is None:
            child = value if last else yaml.MappingNode("tag:yaml.org,2002:map", [], value.start_mark, value.end_mark)
            name = yaml.ScalarNode(_STR, part, value.start_mark, value.end_mark)
            name.override = child.override = override
            if found is None:
                node.value.append((name, child))
            else:
                node.value[found] = (name, child)
            node = child
        else:
            node = node.value[found][1]


def _fail(message: str, node: yaml.Node, source: str) -> typing.NoReturn:
    override = getattr(node, "override", None)
    if override is not None:
        raise InputError(f"--set {override}: {message}")
    raise InputError(message, source, node.start_mark.line + 1)


def _read(kind: Any, node: yaml.Node, key: str, source: str) -> Any:
    """The value of ``node`` as type ``kind``; ``key`` is its dotted name for messages."""
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, node, key, source)
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if node.tag == _NULL:
            return None
        return _read(next(o for o in options if o is not type(None)), node, key, source)
    if origin is tuple:
        if not isinstance(node, yaml.SequenceNode):
            _fail(f"{key} is a list", node, source)
        kinds = [options[0]] * len(node.value) if options[-1] is Ellipsis else list(options)
        if len(kinds) != len(node.value):
            _fail(f"{key} is a list of {len(kinds)} values", node, source)
        return tuple(_read(k, n, f"{key}.{i}", source) for i, (k, n) in enumerate(zip(kinds, node.value, strict=True)))
    if isinstance(node, yaml.ScalarNode):
        text = node.value
        if kind is bool and node.tag == _BOOL and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind is int and node.tag == _INT and re.fullmatch(r"[-+]?\d+", text):
            return int(text)
        if kind is float and node.tag in (_INT, _NUMBER, _STR) and _FLOAT.fullmatch(text):
            return float(text)
        if kind is str and node.tag == _STR:
            return text
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    shown = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    return _fail(f"{key} is {names[kind]}, not {shown}", node, source)


def _read_dataclass(kind: type, node: yaml.Node, key: str, source: str) -> Any:
    """An instance of the dataclass ``kind`` from a mapping node; unknown and missing keys are errors."""
    if not isinstance(node, yaml.MappingNode):
        _fail(f"{key or 'the file'} is a mapping with the keys {', '.join(_names(kind))}", node, source)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    values = {}
    for name_node, child in node.value:
        name = name_node.value
        where = f"{key}.{name}" if key else str(name)
        if name not in fields:
            _fail(f"unknown key '{where}'{near_miss(str(name), fields)}; known: {', '.join(fields)}", name_node, source)
        if name in values:
            _fail(f"key '{where}' a second time", name_node, source)
        table = fields[name].metadata.get("table")
        values[name] = (
            _read(hints[name], child, where, source) if table is None else _read_part(table, child, where, source)
        )
    missing = [
        f.name for f in fields.values()
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    if missing:
        _fail(f"{key or 'the file'} lacks {', '.join(missing)}", node, source)
    try:
        return kind(**values)
    except InputError as error:  # a cross-check of the dataclass: say where
        return _fail(f"{key}: {error}" if key else str(error), node, source)


def _read_part(table: Any, node: yaml.Node, key: str, source: str) -> Part:
    """A table entry: `{name: x, args: {...}}`; which arguments there are depends on the name."""
    if not isinstance(node, yaml.MappingNode):
        _fail(f"{key} is a mapping with name and args", node, source)
    children = {name.value: (name, child) for name, child in node.value}
    for name, (name_node, _) in children.items():
        if name not in _names(Part):
            _fail(
                f"unknown key '{key}.{name}'{near_miss(str(name), _names(Part))}; known: name, args", name_node, source
            )
    if "name" not in children:
        _fail(f"{key} lacks name", node, source)
    name_node = children["name"][1]
    name = _read(str, name_node, f"{key}.name", source)
    try:
        kind = table.arguments(name, f"{key}.name: ")
    except InputError as error:
        _fail(str(error), name_node, source)
    empty = yaml.MappingNode("tag:yaml.org,2002:map", [], node.start_mark, node.end_mark)
    return Part(name, _read(kind, children.get("args", (None, empty))[1], f"{key}.args", source))


def _names(kind: type) -> list[str]:
    return [f.name for f in dataclasses.fields(kind)]


def main() -> None:
    """Check a YAML, print or write it resolved."""
    parser = Parser(prog="python -m sv_py.config", description=main.__doc__)
    parser.add_argument("yaml", help="the experiment")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. seed=1")
    parser.add_argument("--out", help="write the resolved YAML here instead of to stdout")
    parser.add_argument("--sections", help="also write the keys that each stage depends on to files in this folder")
    parser.add_argument("--get", nargs="+", metavar="KEY", help="print only these values, on one line")
    args = parser.parse_args()
    config = load(args.yaml, args.set)
    if args.get:
        print(*(str(lookup(config, key)) for key in args.get))
        return
    if args.sections:
        Path(args.sections).mkdir(parents=True, exist_ok=True)
        for section, keys in SECTIONS.items():
            with replace_file(Path(args.sections) / f"{section}.yaml") as file:
                file.write(dump(config, keys))
    if args.out:
        with replace_file(args.out) as file:
            file.write(dump(config))
    elif not args.sections:
        print(dump(config), end="")


if __name__ == "__main__":
    command(main)
