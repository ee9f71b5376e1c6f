"""`EntityDefinitions`: tables, columns and option sets as queryable metadata.

Collections are never paged. Type-specific properties come only through a cast to the attribute's
own type, as in Dataverse; the shared base of the choice types can't be cast to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dynamics_sandbox.odata.comparisons import Operand
from dynamics_sandbox.odata.dataverse_error import (
    OBJECT_DOES_NOT_EXIST,
    DataverseError,
    bad_query,
    not_supported,
    unknown_property,
    unknown_resource,
)
from dynamics_sandbox.odata.filters import compile_filter
from dynamics_sandbox.odata.literals import Kind
from dynamics_sandbox.odata.query_options import split_options
from dynamics_sandbox.schema.shadow_columns import metadata_columns
from dynamics_sandbox.webapi.metadata_casts import cast_properties
from dynamics_sandbox.webapi.metadata_json import table_definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dynamics_sandbox.organisation.organisation import Organisation
    from dynamics_sandbox.webapi.table_request import Request

Definition = dict[str, Any]

_PATH = re.compile(
    r"EntityDefinitions(?:\((?P<key>[^)]*)\)(?:/(?P<attributes>Attributes)(?:\((?P<column>[^)]*)\))?"
    r"(?:/Microsoft\.Dynamics\.CRM\.(?P<cast>\w+))?)?)?"
)
_NAMED = re.compile(r"LogicalName='(?P<name>[^']*)'|(?P<id>[0-9a-fA-F-]{36})")
_ATTRIBUTES = re.compile(r"Attributes(?:\((?P<options>.*)\))?", re.DOTALL)
_EXPANDABLE = frozenset({"OptionSet", "GlobalOptionSet"})
_OPTIONS = frozenset({"$select", "$filter", "$expand", "LabelLanguages"})


class MetadataReader:
    """The metadata of one organisation."""

    def __init__(self, organisation: Organisation) -> None:
        """Describe this organisation."""
        self._organisation = organisation
        self._described: tuple[int, list[Definition]] = (0, [])

    def answer(self, rest: str, request: Request) -> dict[str, Any]:
        """The answer to a path that begins with `EntityDefinitions`."""
        path = _PATH.fullmatch(rest)
        if path is None:
            raise unknown_resource(rest.partition("/")[2] or rest)
        options = split_options(request.raw_query)
        for name in options:
            if name not in _OPTIONS and not name.startswith("@"):
                raise bad_query(f"The query parameter {name} is not supported.")
        tables = self._tables()
        if path["attributes"]:
            table = _find_by_key(tables, path["key"], "entity")
            context = f"{request.base}/$metadata#EntityDefinitions('{table['LogicalName']}')"
            return self._attributes(path, table, context=f"{context}/Attributes", options=options)
        context = f"{request.base}/$metadata#EntityDefinitions"
        if path["key"] is not None:
            table = _find_by_key(tables, path["key"], "entity")
            return {"@odata.context": f"{context}/$entity", **self._table(table, options)}
        chosen = self._filter_definitions(tables, options)
        return {
            "@odata.context": context,
            "value": [self._table(table, options) for table in chosen],
        }

    def _tables(self) -> list[Definition]:
        """Every table as it is now; described anew when any of them has changed."""
        organisation = self._organisation
        with organisation.lock:
            if self._described[0] != organisation.metadata_version:
                tables = (organisation.table(name) for name in organisation.stores)
                described = [table_definition(table) for table in tables]
                self._described = organisation.metadata_version, described
            return self._described[1]

    def _filter_definitions(
        self, definitions: Sequence[Definition], options: Mapping[str, str]
    ) -> list[Definition]:
        if "$filter" not in options or not definitions:
            return list(definitions)
        aliases = {name: value for name, value in options.items() if name.startswith("@")}
        known = definitions[0]
        made = compile_filter(
            options["$filter"],
            lambda path: _operand(known, path),
            aliases=aliases,
            now=self._organisation.now,
        )
        return [definition for definition in definitions if made.test(definition)]

    def _table(self, table: Definition, options: Mapping[str, str]) -> Definition:
        columns = table["Attributes"]
        plain = {name: value for name, value in table.items() if name != "Attributes"}
        answer = _select_properties(plain, options.get("$select"), "EntityMetadata")
        if (text := options.get("$expand")) is not None:
            match = _ATTRIBUTES.fullmatch(text.strip())
            if match is None:
                raise not_supported(f"$expand={text[:50]} on EntityDefinitions")
            inner = split_options((match["options"] or "").replace(";", "&"))
            answer["Attributes"] = [
                _select_properties(column, inner.get("$select"), "AttributeMetadata")
                for column in self._show_columns(
                    table["EntitySetName"], self._filter_definitions(columns, inner)
                )
            ]
        return answer

    def _attributes(
        self,
        path: re.Match[str],
        table: Definition,
        *,
        context: str,
        options: Mapping[str, str],
    ) -> dict[str, Any]:
        columns: list[Definition] = table["Attributes"]
        set_name = table["EntitySetName"]
        if path["column"] is not None:
            asked = self._show_columns(
                set_name, [_find_by_key(columns, path["column"], "attribute")]
            )
            columns = [_find_by_key(asked, path["column"], "attribute")]
        if path["cast"]:
            columns = self._cast(set_name, columns, path["cast"])
            context += f"/Microsoft.Dynamics.CRM.{path['cast']}"
        if path["column"] is None:
            columns = self._show_columns(set_name, columns)
        expanded = _parse_expand(options.get("$expand"))
        rendered = [
            {
                **_select_properties(
                    column, options.get("$select"), path["cast"] or "AttributeMetadata"
                ),
                **{name: column[name] for name in expanded if name in column},
            }
            for column in self._filter_definitions(columns, options)
        ]
        if path["column"] is not None:
            if not rendered:
                raise unknown_resource(path["cast"] or path["column"])
            return {"@odata.context": f"{context}/$entity", **rendered[0]}
        return {"@odata.context": context, "value": rendered}

    def _show_columns(self, set_name: str, columns: Iterable[Definition]) -> list[Definition]:
        """The columns that this answer has, with what is odd about them."""
        organisation = self._organisation
        return [
            {**column, **organisation.odd_metadata(set_name, column["LogicalName"])}
            for column in columns
            if not organisation.takes_from_metadata(set_name, column["LogicalName"])
        ]

    def _cast(self, set_name: str, columns: Iterable[Definition], cast: str) -> list[Definition]:
        if cast == "EnumAttributeMetadata" or not cast.endswith("AttributeMetadata"):
            raise bad_query(f"The type 'Microsoft.Dynamics.CRM.{cast}' can't be cast to.")
        table = self._organisation.table(set_name)
        known, wanted = metadata_columns(table), f"#Microsoft.Dynamics.CRM.{cast}"
        return [
            {**column, **cast_properties(table, known[column["LogicalName"]])}
            for column in columns
            if column.get("@odata.type") == wanted
        ]


def _find_by_key(definitions: Iterable[Definition], key: str, what: str) -> Definition:
    match = _NAMED.fullmatch(key)
    for definition in definitions:
        if match and match["name"] == definition["LogicalName"]:
            return definition
        if match and match["id"] and match["id"].lower() == definition["MetadataId"]:
            return definition
    message = f"Could not find {what} with key {key}: the metadata does not exist."
    raise DataverseError(404, OBJECT_DOES_NOT_EXIST, message)


def _parse_expand(text: str | None) -> list[str]:
    names = [
        re.sub(r"\(.*\)", "", name).strip() for name in (text or "").split(",") if name.strip()
    ]
    for name in names:
        if name not in _EXPANDABLE:
            raise unknown_property(name, "AttributeMetadata")
    return names


def _select_properties(definition: Definition, select: str | None, type_name: str) -> Definition:
    if select is None:
        return {name: value for name, value in definition.items() if name not in _EXPANDABLE}
    names = [name.strip() for name in select.split(",") if name.strip()]
    for name in names:
        if name not in definition:
            raise unknown_property(name, type_name)
    kept = {name: definition[name] for name in ("@odata.type",) if name in definition}
    return {
        **kept,
        **{name: definition[name] for name in names},
        "MetadataId": definition["MetadataId"],
    }


def _operand(sample: Definition, path: tuple[str, ...]) -> Operand:
    """A property path of metadata, typed by what a sample holds."""

    def read(definition: Any) -> Any:
        value = definition
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value.casefold() if isinstance(value, str) else value

    value: Any = sample
    for step in path:
        if not isinstance(value, dict) or step not in value:
            raise unknown_property("/".join(path), "EntityMetadata")
        value = value[step]
    if isinstance(value, bool):
        return Operand(read, Kind.BOOLEAN)
    if isinstance(value, int):
        return Operand(read, Kind.NUMBER)
    return Operand(read, Kind.GUID if path[-1] == "MetadataId" else Kind.TEXT)
