"""How Dataverse says no: one exception that carries the status, code and message of an answer.

Every refusal of the sandbox goes through here, so that a client meets the same error bodies as in
production. Codes and texts are those of Microsoft's documentation and of live answers; where none
is known the nearest documented one is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVILEGE_DENIED = "0x80040220"
NOT_A_MEMBER = "0x80072560"
OBJECT_DOES_NOT_EXIST = "0x80040217"
BAD_QUERY = "0x80060888"
UNKNOWN_RESOURCE = "0x8006088a"
EXPIRED_VERSION_STAMP = "0x80044352"
TOO_MANY_REQUESTS = "0x80072322"
INVALID_ARGUMENT = "0x80040203"
UNEXPECTED = "0x80040216"

_EXCEPTION_NAMES = {
    PRIVILEGE_DENIED: "PrivilegeDenied",
    OBJECT_DOES_NOT_EXIST: "ObjectDoesNotExist",
    EXPIRED_VERSION_STAMP: "ExpiredVersionStamp",
}


class DataverseError(Exception):
    """An answer in Dataverse's error shape."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """`code` is the hexadecimal text of `error.code`; it says nothing about the HTTP status."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self, *, annotated: bool) -> dict[str, Any]:
        """The JSON body; the annotations come only where the request asked for all of them."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if annotated:
            prefix = "@Microsoft.PowerApps.CDS"
            name = _EXCEPTION_NAMES.get(self.code, "CrmException")
            error[f"{prefix}.ErrorDetails.ApiExceptionMessageName"] = name
            error[f"{prefix}.ErrorDetails.ApiExceptionHttpStatusCode"] = str(self.status)
            error[f"{prefix}.HelpLink"] = (
                f"http://go.microsoft.com/fwlink/?LinkID=398563&error={self.code}"
            )
            error[f"{prefix}.InnerError.Message"] = self.message
        return {"error": error}


def bad_query(message: str) -> DataverseError:
    """A query that Dataverse can't understand."""
    return DataverseError(400, BAD_QUERY, message)


def unknown_property(name: str, type_name: str) -> DataverseError:
    """A property that the table does not have, or that isn't an OData property."""
    return bad_query(
        f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{type_name}'."
    )


def unknown_resource(segment: str) -> DataverseError:
    """A set, function or action that does not exist."""
    return DataverseError(404, UNKNOWN_RESOURCE, f"Resource not found for the segment '{segment}'.")


def not_supported(what: str) -> DataverseError:
    """Something that Dataverse knows and this sandbox does not."""
    return DataverseError(501, UNEXPECTED, f"{what} is not implemented by the sandbox.")


def no_such_row(table: str, row_id: str) -> DataverseError:
    """A row asked for by key that is not there."""
    message = f"Entity '{table.capitalize()}' With Id = {row_id} Does Not Exist"
    return DataverseError(404, OBJECT_DOES_NOT_EXIST, message)
