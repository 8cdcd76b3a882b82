"""Read an experiment's YAML strictly: every key and type is checked against the schema before anything runs.

No inheritance, no interpolation, no aliases, nothing executed. Errors name file, line and near miss.
"""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from sv_py.augmentation.arguments import parse_bindings, roles_of
from sv_py.cli import InputError, Parser, command, near_miss
from sv_py.io.atomic import replace_file
from sv_py.registry import Part
from sv_py.schema import ROLES, SECTIONS, Config

# YAML 1.1 takes 1e-3 for a string; everybody else takes it for a number
_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_WHOLE = re.compile(r"[-+]?(0|[1-9]\d*)")  # YAML 1.1 takes 010 for 8
_STR, _INT, _NUMBER, _BOOL, _NULL, _MAP, _SEQ = (
    f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null", "map", "seq")
)
_PRESETS = Path(__file__).resolve().parents[1] / "conf" / "augment"
_SET = "--set "  # begins the name of the source of a value that came from the command line


class _Loader(yaml.SafeLoader):
    """Composes nodes of which every mark knows the name of its source; knows no aliases."""

    def __init__(self, text: str, source: str):
        super().__init__(text)
        self.name = source

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """As in the parent class."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not used here", problem_mark=mark)
        return super().compose_node(parent, index)


def load(path: str | Path, overrides: list[str] = ()) -> Config:
    """The checked configuration of ``path`` after ``a.b=value`` overrides. Raises InputError."""
    path = Path(path)
    root = _compose_file(path)
    _expand_presets(root, path.parent)
    for override in overrides:
        _override(root, override)
        _expand_presets(root, path.parent)
    return _read(Config, root, "")


def load_section(path: str | Path, kind: type) -> Any:
    """An instance of the dataclass ``kind`` of the schema from a file of its own, as conf/augment has. InputError."""
    return _read(kind, _compose_file(Path(path)), "")


def read_values(path: str | Path) -> dict[str, Any]:
    """The plain values of a resolved configuration, which an earlier version may have written: no schema is asked."""
    path = Path(path)
    values = _Loader("", str(path)).construct_document(_compose_file(path))
    if not isinstance(values, dict):
        raise InputError("is no mapping", path)
    return values


def to_dict(value: Any) -> Any:
    """Plain dicts, lists and scalars of a configuration or a part of it."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_dict(v) for v in value]
    return value


def from_dict(values: dict, source: str, overrides: Iterable[str] = ()) -> Config:
    """The configuration that ``to_dict`` gave, after ``a.b=value`` overrides.

    ``source`` is named in errors (a checkpoint's path).
    """
    try:
        text = yaml.safe_dump(values)
    except yaml.YAMLError:
        raise InputError("its configuration is not one of plain values", source) from None
    root = _compose(text, source)
    for override in overrides:
        _override(root, override)
    return _read(Config, root, "")


def check_training(config: Config, bindings: Iterable[str], source: str, sets: Iterable[str] = ("train",)) -> None:
    """Raise InputError, which names ``source``, unless there are phases, and ``bindings`` for all that they need.

    Bindings are texts ROLE=DIR. More roles may be bound than are needed, but not where none is: who binds sounds
    believes that they are used. ``sets`` are the roles of the training sets that there are; phases use all of them.
    """
    if not config.phases:
        raise InputError("phases: at least one is needed to train", source)
    check_sets(config, sets, source)
    bindings = list(bindings)
    needed = roles_of(entry for phase in config.phases for entry in phase.augment.waveform) - {"train"}
    lacking = sorted(needed - parse_bindings(bindings).keys())
    if bindings and not needed:
        raise InputError(f"takes no sounds (phases.N.augment), so what is --augment-set {bindings[0]} for?", source)
    if lacking:
        options = " ".join(f"--augment-set {role}=DIR" for role in lacking)
        raise InputError(f"needs sounds for {', '.join(map(repr, lacking))}: {options}", source)


def check_sets(config: Config, sets: Iterable[str], source: str) -> None:
    """Raise InputError, which names ``source``, unless ``sets`` are the roles of the sets that the phases train on.

    ``train`` may be unused: dev speakers come from it all the same.
    """
    named, given = {role for phase in config.phases for role in phase.sets}, set(sets)
    for role in sorted(named - given):
        raise InputError(f"a phase trains on the set {role}, and there is none: --{role}-train-set DIR", source)
    for role in sorted(given - named - {"train"}):
        raise InputError(f"no phase trains on the set {role} (phases.N.sets)", source)


def check_shares(config: Config, processes: int) -> None:
    """Raise InputError if the micro-batches of a phase's step cannot be shared out among so many processes.

    A head that is divided among them has them go in step, each with one micro-batch at a time.
    """
    for i, phase in enumerate(config.phases):
        n = phase.micro_batches
        sizes = f"batch_size {phase.batch_size} and micro_batch {phase.micro_batch} make {n} micro-batches of a step"
        if n < processes:
            advice = f"micro_batch {phase.batch_size // processes} or less makes enough"
            raise InputError(f"phases.{i}: {sizes}, too few for {processes} processes: {advice}")
        if config.head.name == "sharded" and n % processes:
            raise InputError(f"phases.{i}: {sizes}, and the sharded head needs a multiple of its {processes} processes")


def dump(config: Config, keys: tuple[str, ...] | None = None) -> str:
    """YAML text of the whole configuration, or of the values of some dotted keys."""
    values = to_dict(config) if keys is None else {key: lookup(config, key) for key in keys}
    return yaml.safe_dump(values, sort_keys=False)


def lookup(config: Config, key: str) -> Any:
    """The value at a dotted key such as ``hold_out.min_frames`` or ``phases.0.epochs``; None in a part left out."""
    value: Any = to_dict(config)
    for part in key.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        elif value is not None:
            near = near_miss(part, value) if isinstance(value, dict) else ""
            raise InputError(f"no key '{key}': unknown '{part}'{near}")
    return value


def _compose_file(path: Path) -> yaml.Node:
    """The node tree of a YAML file."""
    if not path.is_file():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"no such file{near_miss(path.name, beside)}", path)
    data = path.read_bytes()
    try:
        return _compose(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", path, 1 + data[: error.start].count(b"\n")) from None


def _compose(text: str, source: str) -> yaml.Node:
    """The node tree of YAML ``text``; every node carries its line."""
    try:
        root = _Loader(text, source).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _error(f"bad YAML: {error.problem}", error.problem_mark) from None
    except yaml.reader.ReaderError as error:
        raise InputError(f"bad YAML: {error.reason}", source, 1 + text[: error.position].count("\n")) from None
    except RecursionError:
        raise InputError("bad YAML: nested too deeply", source) from None
    if root is None:
        raise InputError("is empty", source)
    return root


def _override(root: yaml.Node, override: str) -> None:
    """Put the value of ``a.b=value`` into the tree; the schema judges it later, as if it stood in the file."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"--set {override}: expected key=value")
    value = _compose(text or "''", _SET + override)
    node, parts = root, key.split(".")
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(node, yaml.SequenceNode):
            if not part.isdecimal() or int(part) >= len(node.value):
                raise InputError(f"--set {override}: '{part}' is not one of the {len(node.value)} entries (0, 1...)")
            if last:
                node.value[int(part)] = value
            node = node.value[int(part)]
            continue
        if not isinstance(node, yaml.MappingNode):
            raise InputError(f"--set {override}: '{parts[depth - 1] if depth else 'the file'}' has no keys")
        found = next((i for i, (k, _) in enumerate(node.value) if k.value == part), None)
        if last or found is None:
            child = value if last else yaml.MappingNode(_MAP, [], value.start_mark, value.end_mark)
            name = yaml.ScalarNode(_STR, part, value.start_mark, value.end_mark)
            if found is None:
                node.value.append((name, child))
            else:
                node.value[found] = (name, child)
            node = child
        else:
            node = node.value[found][1]


def _expand_presets(root: yaml.Node, folder: Path) -> None:
    """Put the contents of augment/NAME.yaml, beside the experiment or in conf/, where a phase has `augment: NAME`."""
    for phase in _values(root, "phases"):
        for node in phase.value if phase.tag == _SEQ else ():
            for i, (key, child) in enumerate(node.value if node.tag == _MAP else ()):
                if key.value == "augment" and child.tag == _STR:
                    node.value[i] = key, _preset(child, folder)


def _values(node: yaml.Node, name: str) -> list[yaml.Node]:
    return [child for key, child in node.value if key.value == name] if node.tag == _MAP else []


def _preset(node: yaml.ScalarNode, folder: Path) -> yaml.Node:
    known = {path.stem: path for place in (_PRESETS, folder / "augment") for path in sorted(place.glob("*.yaml"))}
    if node.value not in known:
        _fail(f"unknown preset '{node.value}'{near_miss(node.value, known)}; known: {', '.join(known)}", node)
    return _compose_file(known[node.value])


def _error(message: str, mark: yaml.Mark) -> InputError:
    return InputError(message, mark.name, None if mark.name.startswith(_SET) else mark.line + 1)


def _fail(message: str, node: yaml.Node) -> typing.NoReturn:
    raise _error(message, node.start_mark)


def _read(kind: Any, node: yaml.Node, key: str) -> Any:
    """The value of ``node`` as type ``kind``; ``key`` is its dotted name for messages."""
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, node, key)
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if node.tag == _NULL and type(None) in options:
            return None
        lists = node.tag == _SEQ
        kinds = [o for o in options if o is not type(None)]
        return _read(next((o for o in kinds if (typing.get_origin(o) is tuple) == lists), kinds[0]), node, key)
    if origin is tuple:
        if node.tag != _SEQ:
            _fail(f"{key} is a list", node)
        kinds = [options[0]] * len(node.value) if options[-1] is Ellipsis else list(options)
        if len(kinds) != len(node.value):
            _fail(f"{key} is a list of {len(kinds)} values", node)
        return tuple(_read(k, n, f"{key}.{i}") for i, (k, n) in enumerate(zip(kinds, node.value, strict=True)))
    if isinstance(node, yaml.ScalarNode):
        text = node.value
        if kind is bool and node.tag == _BOOL and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind is int and node.tag == _INT and _WHOLE.fullmatch(text):
            return int(text)
        plain_number = not node.style and node.tag in (_INT, _NUMBER, _STR) and _FLOAT.fullmatch(text)
        if kind is float and plain_number and math.isfinite(float(text)):
            return float(text)
        if kind is str and node.tag == _STR:
            return text
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    shown = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    return _fail(f"{key} is {names[kind]}, not {shown}", node)


def _read_dataclass(kind: type, node: yaml.Node, key: str, default: Any = None) -> Any:
    """The dataclass ``kind`` from a mapping node, on top of ``default``; unknown and missing keys are errors."""
    if node.tag != _MAP:
        _fail(f"{key or 'the file'} is a mapping with the keys {', '.join(_names(kind))}", node)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    values = {} if default is None else {name: getattr(default, name) for name in fields}
    for name, child in _children(kind, node, key).items():
        where = f"{key}.{name}" if key else name
        is_part = "table" in fields[name].metadata
        values[name] = _read_parts(fields[name], child, where) if is_part else _read(hints[name], child, where)
    missing = [
        f.name for f in fields.values()
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    if missing:
        _fail(f"{key or 'the file'} lacks {', '.join(missing)}", node)
    try:
        return kind(**values)
    except InputError as error:  # a cross-check of the dataclass: say where
        return _fail(f"{key}: {error}" if key else str(error), node)


def _read_parts(field: dataclasses.Field, node: yaml.Node, key: str) -> Part | tuple[Part, ...] | None:
    """What a field of a table holds: one entry, several if its default is a tuple, or none if that is None."""
    if field.default == ():
        if node.tag != _SEQ:
            _fail(f"{key} is a list of entries with name and args", node)
        return tuple(_read_part(field, child, f"{key}.{i}") for i, child in enumerate(node.value))
    if field.default is None and node.tag == _NULL:
        return None
    return _read_part(field, node, key)


def _read_part(field: dataclasses.Field, node: yaml.Node, key: str) -> Part:
    """A table entry, `{name: x, args: {...}}`: its name says which arguments it has; the field may default it."""
    if node.tag != _MAP:
        _fail(f"{key} is a mapping with name and args", node)
    children = _children(Part, node, key)
    default = None if field.default_factory is dataclasses.MISSING else field.default_factory()
    if "name" in children:
        name = _read(str, children["name"], f"{key}.name")
    elif default is not None:
        name = default.name
    else:
        _fail(f"{key} lacks name", node)
    try:
        kind = field.metadata["table"]().arguments(name, f"{key}.name: ")
    except InputError as error:
        _fail(str(error), children["name"])
    empty = yaml.MappingNode(_MAP, [], node.start_mark, node.end_mark)
    given = default.args if default is not None and default.name == name else None
    return Part(name, _read_dataclass(kind, children.get("args", empty), f"{key}.args", given))


def _children(kind: type, node: yaml.MappingNode, key: str) -> dict[str, yaml.Node]:
    """The nodes of a mapping by name; names that ``kind`` does not have, and repeated ones, are errors."""
    known = _names(kind)
    children: dict[str, yaml.Node] = {}
    for name_node, child in node.value:
        name = name_node.value if isinstance(name_node, yaml.ScalarNode) else "a list or mapping"
        where = f"{key}.{name}" if key else name
        if name not in known:
            _fail(f"unknown key '{where}'{near_miss(name, known)}; known: {', '.join(known)}", name_node)
        if name in children:
            _fail(f"key '{where}' a second time", name_node)
        children[name] = child
    return children


def _names(kind: type) -> list[str]:
    return [f.name for f in dataclasses.fields(kind)]


def _word(value: Any) -> str:
    """A value as one word, for the shell."""
    if isinstance(value, list):
        return ",".join(map(_word, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def main() -> None:
    """Check a YAML, print or write it resolved."""
    parser = Parser(prog="python -m sv_py.config", description=main.__doc__)
    parser.add_argument("yaml", help="the experiment")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. seed=1")
    parser.add_argument("--augment-set", nargs="*", metavar="ROLE=DIR", help="check that these are all roles it needs")
    parser.add_argument(
        "--training-sets", nargs="+", choices=ROLES, default=["train"], help="with --augment-set: roles that have data"
    )
    parser.add_argument("--processes", type=int, default=1, help="check that so many can share out every step")
    parser.add_argument("--out", help="write the resolved YAML here instead of to stdout")
    parser.add_argument("--sections", help="also write the keys that each stage depends on to files in this folder")
    parser.add_argument("--get", nargs="+", metavar="KEY", help="print only these values, on one line")
    args = parser.parse_args()
    config = load(args.yaml, args.set)
    check_shares(config, args.processes)
    if args.augment_set is not None:
        check_training(config, args.augment_set, args.yaml, args.training_sets)
    if args.get:
        print(*(_word(lookup(config, key)) for key in args.get))
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
