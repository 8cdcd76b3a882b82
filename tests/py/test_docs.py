"""The documents say what is there: commands parse, options exist, every key and every name is explained."""

import ast
import dataclasses
import functools
import re
import shlex
import subprocess
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from sv_py.augmentation import AUGMENTATIONS
from sv_py.config import load
from sv_py.data import SAMPLERS
from sv_py.data.vad import DETECTORS
from sv_py.features import FRONTENDS
from sv_py.losses import HEADS, LOSSES
from sv_py.models import BACKBONES, POOLINGS
from sv_py.schema import Config
from sv_py.scoring import BACKENDS, CALIBRATIONS, NORMS
from sv_py.train import OPTIMIZERS

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("egs/*/*/README.md"), ROOT / "bench/README.md"])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPERATORS = set("();<>|&")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, *languages: str) -> list[str]:
    return [text for language, text in BLOCK.findall(path.read_text()) if language in languages]


def commands(block: str) -> Iterator[list[str]]:
    """The simple commands of a shell block, as words."""
    words: list[str] = []
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if not set(word) <= OPERATORS:
                words.append(word)
            elif words:
                yield words
                words = []


def words_of(block: str) -> Iterator[list[str]]:
    """As ``commands``; a dispatcher's command, after its log, is a command of its own."""
    for words in commands(block):
        starts = [i for i, word in enumerate(words) if i and (word == "python" or word.endswith(".sh"))]
        for first, last in zip([0, *starts], [*starts, len(words)], strict=True):
            yield words[first:last]


@functools.cache
def options_of_module(name: str) -> set[str]:
    """The options of ``python -m sv_py.<name>``: all words of its source that look like one."""
    path = ROOT / "sv_py" / name.replace(".", "/")
    path = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__main__.py"
    constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    return {"--help", *(value for value in constants if isinstance(value, str) and value.startswith("-"))}


@functools.cache
def options_of_script(name: str) -> set[str]:
    """The options of a script: its configuration section, or those of the Python command that it becomes."""
    path = ROOT / name
    text = path.read_text()
    if "../../../run.sh" in text:
        return options_of_script("run.sh")
    if "# Begin configuration section." not in text:
        return options_of_module(re.search(r"exec python -m sv_py\.([\w.]+)", text)[1])
    section = text.split("# Begin configuration section.")[1].split("# End configuration section.")[0]
    names = re.findall(r"^(\w+)=", section, re.MULTILINE)
    return {"--help", *(f"--{name.replace('_', '-')}" for name in names)}


def check_command(words: list[str]) -> None:
    """Assert that a command of ours exists and has the options that it is given."""
    name = words[0].removeprefix("./")
    used = [word.split("=")[0] for word in words[1:] if re.match(r"--[a-zA-Z]", word)]
    if words[:2] == ["python", "-m"] and words[2].startswith("sv_py."):
        known = options_of_module(words[2].removeprefix("sv_py."))
    elif words[0] == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in words[1:] if "=" not in word} <= targets, words
        return
    elif re.fullmatch(r"(run|(egs/\w+/\w+/run)|((steps|utils|local)/\w+))\.sh", name):
        script = ROOT / name
        assert script.exists(), f"{words[0]} is not there"
        known = options_of_script(name)
    else:
        return
    assert set(used) <= known, f"{' '.join(words)}: unknown {set(used) - known}"


@pytest.mark.parametrize("path", DOCS, ids=relative)
def test_the_shell_commands_of_a_document_parse_and_their_options_exist(path):
    for block in blocks(path, "sh", "bash"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
        for words in words_of(block):
            check_command(words)


@pytest.mark.parametrize("path", DOCS, ids=relative)
def test_the_links_of_a_document_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=relative)
def test_the_files_that_a_document_names_exist(path):
    names = re.findall(
        r"`((?:utils|steps|local|conf|docs|bench|sv_py|tests)/[\w./-]+\.(?:sh|py|md|conf))`", path.read_text()
    )
    missing = [name for name in names if not (ROOT / name).exists() and name != "conf/corpora.site.sh"]
    assert not missing, missing


def test_a_mistaken_option_in_a_document_would_be_found():
    for block in ("./run.sh --stgae 2", "python -m sv_py.metrics x --jsn", "make tset", "steps/no_such.sh x"):
        with pytest.raises(AssertionError):
            for words in words_of(block):
                check_command(words)


def test_the_yaml_examples_of_the_documents_are_valid_experiments(tmp_path):
    examples = [text for path in DOCS for text in blocks(path, "yaml")]
    assert examples
    for text in examples:
        (tmp_path / "x.yaml").write_text(text)
        load(tmp_path / "x.yaml")


def rows(kind: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and default of everything that a YAML may say; `phases.0` stands for every phase."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        key, table = f"{prefix}{field.name}", field.metadata.get("table")
        if table is not None and field.default == ():
            yield key, show(())
        elif table is not None and field.default is None:
            yield f"{key}.name", "none"
        elif table is not None:
            default = None if field.default_factory is dataclasses.MISSING else field.default_factory().name
            yield f"{key}.name", show(default)
        elif dataclasses.is_dataclass(hints[field.name]):
            yield from rows(hints[field.name], f"{key}.")
        elif typing.get_origin(hints[field.name]) is tuple and dataclasses.is_dataclass(
            typing.get_args(hints[field.name])[0]
        ):
            yield from rows(typing.get_args(hints[field.name])[0], f"{key}.0.")
        else:
            yield key, show(None if field.default is dataclasses.MISSING else field.default, field)


def show(value: object, field: dataclasses.Field | None = None) -> str:
    """A default as the documents show it."""
    if value is None:
        return "required" if field is None or field.default is dataclasses.MISSING else "none"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def expected_rows() -> Iterator[str]:
    """How the rows of docs/config.md begin."""
    for key, default in rows(Config):
        yield f"| `{key}` | {default} | "
    for table in (BACKBONES, POOLINGS, LOSSES, HEADS, OPTIMIZERS, SAMPLERS, BACKENDS, NORMS, CALIBRATIONS):
        for name, (arguments, _) in table.entries.items():
            for key, default in rows(arguments):
                yield f"| `{name}` `{key}` | {default} | "


def test_every_key_of_the_configuration_is_explained_with_its_default():
    text = (ROOT / "docs/config.md").read_text()
    missing = [row for row in expected_rows() if f"\n{row}" not in text]
    assert not missing, "\n".join(missing)


def test_no_key_is_explained_that_does_not_exist():
    explained = re.findall(r"^\| `[^|]+\| [^|]+\| ", (ROOT / "docs/config.md").read_text(), re.MULTILINE)
    assert set(explained) <= set(expected_rows())


@pytest.mark.parametrize(
    "table",
    [
        AUGMENTATIONS,
        BACKBONES,
        POOLINGS,
        LOSSES,
        HEADS,
        OPTIMIZERS,
        SAMPLERS,
        BACKENDS,
        NORMS,
        CALIBRATIONS,
        DETECTORS,
        FRONTENDS,
    ],
    ids=lambda table: table.kind,
)
def test_every_name_of_a_table_appears_in_the_documents(table):
    text = "".join(path.read_text() for path in DOCS)
    assert [name for name in table.entries if f"`{name}`" not in text] == []
