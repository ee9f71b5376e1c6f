"""The pages for whoever changes the code name rooms, modules and words as the code has them."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from doc_pages import CODE, DOCS, PAGES, PROJECT, codes, is_there, text_of
from opportunity_sync.model import DEFAULT_MODEL
from opportunity_sync.store.schema.tables import tables_of

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURE = DOCS / "ARCHITECTURE.md"
GLOSSARY = DOCS / "glossary.md"
PACKAGE = PROJECT / "include/opportunity_sync"
SOURCES = sorted(
    path for folder in ("include", "plugins", "dags") for path in (PROJECT / folder).rglob("*.py")
)
LAYERS = {
    rule["containers"][0].removeprefix("opportunity_sync."): rule["layers"]
    for rule in tomllib.loads(text_of(PROJECT / "pyproject.toml"))["tool"]["importlinter"][
        "contracts"
    ]
    if rule["type"] == "layers"
}
PATH = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|yaml)|(?:[\w.-]+/)+")
IMPORTED = re.compile(r"`((?:opportunity_sync|dynamics_sandbox)(?:\.\w+)+)`")
WRITES = re.compile(r"\b(?:insert|insert_of|update|delete)\((\w+)\)|\btable=(\w+)")

package = pytest.mark.parametrize("name", ["pipeline", "dynamics", "store", "dynamics_sandbox"])


def rows_below(path: Path, heading: str) -> list[list[str]]:
    """The cells of the table whose first heading this is, without the two lines of its head."""
    _, found, after = text_of(path).partition(f"\n| {heading} |")
    assert found, f"{path.name} has no table {heading!r}"
    lines = after.partition("\n\n")[0].strip().splitlines()[2:]
    return [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in lines]


def room_of(name: str) -> str:
    """A room's name as imports have it."""
    return name.removesuffix("/").removesuffix(".py").rpartition("/")[2]


@package
def test_the_rooms_stand_in_the_order_of_their_imports(name: str) -> None:
    """Each row of a package's rooms is one layer of those that the import rules check."""
    shown = [
        {room_of(room) for room in CODE.findall(cells[0])}
        for cells in rows_below(ARCHITECTURE, f"`{name}/`")
    ]

    layers = [set(re.findall(r"\w+", layer)) - {"__main__"} for layer in LAYERS[name]]
    assert shown == [layer for layer in layers if layer]


def test_every_table_of_the_store_has_its_writers() -> None:
    """Each table stands once among those of which the page tells who writes them."""
    shown = [
        name for cells in rows_below(ARCHITECTURE, "store table") for name in CODE.findall(cells[0])
    ]

    tables = {re.sub(r"^fact_\w+", "fact_*", name) for name in tables_of(DEFAULT_MODEL)}
    assert sorted(shown) == sorted(tables)


def test_no_other_module_writes_a_table() -> None:
    """A module with a statement that writes a table is named beside it."""
    told = {
        (name, module)
        for cells in rows_below(ARCHITECTURE, "store table")
        for name in CODE.findall(cells[0])
        for module in CODE.findall(cells[1])
    }
    names = {name for name, _ in told}

    writes = {
        (name, str(path.relative_to(PACKAGE)))
        for path in (PACKAGE / "store").rglob("*.py")
        for found in WRITES.findall(text_of(path))
        for name in found
        if name in names
    }
    assert len(writes) > 0
    assert sorted(writes - told) == []


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(PROJECT))) for path in PAGES]
)
def test_modules_that_are_named_for_import_exist(path: Path) -> None:
    """A dotted name on a page is a module of ours, or something that stands in one."""
    named = IMPORTED.findall(text_of(path))

    assert [name for name in named if not is_imported(name)] == []


def test_files_that_the_code_names_exist() -> None:
    """A docstring sends nobody to a file or folder that is not in the project."""
    named = {
        (str(path.relative_to(PROJECT)), name)
        for path in SOURCES
        for name in CODE.findall(docstrings_of(path))
        if PATH.fullmatch(name) and not (is_there(name) or (path.parent / name).exists())
    }

    assert sorted(named) == []


def test_each_word_of_the_glossary_has_its_module() -> None:
    """Each entry is one sentence, with a module or folder of the package in which it lives."""
    entries = rows_below(GLOSSARY, "word")

    assert [cells[0] for cells in entries if not meant_once(cells[1])] == []
    assert [cells[0] for cells in entries if not lives(cells[2])] == []


def test_each_word_of_the_glossary_is_used_where_it_lives() -> None:
    """A word that its module no longer uses has been renamed, and goes from the page as well."""
    unused = [
        cells[0]
        for cells in rows_below(GLOSSARY, "word")
        if not any(is_used(word, cells[2]) for word in cells[0].strip("*").split(", "))
    ]

    assert unused == []


def test_the_glossary_is_in_the_order_of_the_alphabet() -> None:
    """A reader finds a word without a search, and no word twice."""
    words = [cells[0].strip("*").lower() for cells in rows_below(GLOSSARY, "word")]

    assert words == sorted(set(words))


def is_imported(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name that is bound in one."""
    path = PROJECT / "include" / dotted.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module = path.parent.with_suffix(".py")
    return module.is_file() and bool(re.search(rf"\b{path.name}\b", text_of(module)))


def docstrings_of(path: Path) -> str:
    """All docstrings of a module."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, kinds)]
    return "\n".join(ast.get_docstring(node) or "" for node in nodes)


def meant_once(meaning: str) -> bool:
    """Whether a meaning is one sentence."""
    return meaning.endswith(".") and len(re.findall(r"[.!?](?= |$)", meaning)) == 1


def lives(cell: str) -> bool:
    """Whether a cell names one module or folder of the package, and nothing that is not there."""
    named = codes(cell)
    return len(named) == 1 and all((PACKAGE / name).exists() for name in named)


def is_used(word: str, cell: str) -> bool:
    """Whether the module, or one of the folder, uses the word: in prose or as part of a name."""
    [place] = [PACKAGE / name for name in codes(cell)]
    modules = [place] if place.is_file() else sorted(place.rglob("*.py"))
    spelled = re.compile(word.replace(" ", r"[\s_]*"), re.IGNORECASE)
    return any(spelled.search(text_of(module)) for module in modules)
