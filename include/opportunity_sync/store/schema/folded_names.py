"""Names in the form in which they are searched and put in order, whatever their case.

Each database has its own: PostgreSQL takes no long text into an index, so the beginning of a name
counts; SQLite knows the case of ASCII letters only. An index and the questions to it must say the
same, so it is said once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

SEARCHED = 100  # characters of a name


class FoldedName(FunctionElement[str]):
    """A column with names, folded."""

    name = "folded_name"
    type = Text()
    inherit_cache = True


@compiles(FoldedName, "postgresql")
def _fold_in_postgresql(element: FoldedName, compiler: SQLCompiler, **how: Any) -> str:
    name = compiler.process(element.clauses, **how)
    return f'(left(lower({name}), {SEARCHED}) COLLATE "C")'


@compiles(FoldedName, "sqlite")
def _fold_in_sqlite(element: FoldedName, compiler: SQLCompiler, **how: Any) -> str:
    return f"{compiler.process(element.clauses, **how)} COLLATE NOCASE"
