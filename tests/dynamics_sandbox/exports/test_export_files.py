"""The files of a folder: whole tables under their names, whoever wrote them, or a clear no."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from dynamics_sandbox.exports.export_folder import FolderError, load_folder, read_folder
from dynamics_sandbox.exports.findings import describe_findings
from dynamics_sandbox.schema.standard_tables import TABLES
from folder_rows import (
    ACCOUNT,
    CONTACT,
    OTHER,
    ROLE,
    a_contact,
    a_folder,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_every_table_is_there_and_absent_ones_are_empty(tmp_path: Path) -> None:
    """A client can ask for connections of an organisation whose export has none."""
    tables, rows = load_folder(a_folder(tmp_path, contacts=[a_contact()]))
    assert tables.keys() == rows.keys() == TABLES.keys()
    assert not rows["connections"]


def test_files_of_other_tables_and_notes_of_the_export_are_passed_over(tmp_path: Path) -> None:
    """Leads, statistics and keys that Dataverse doesn't have are not served."""
    role = {"connectionroleid": ROLE, "from": "notes", "associated_tables": ["account"]}
    tag = {"@odata.etag": 'W/"1"'}
    _, rows = load_folder(
        a_folder(tmp_path, connectionroles=[{**role, **tag}], leads="no JSON", stats="{}")
    )
    [loaded] = rows["connectionroles"]
    assert not {"from", "associated_tables", "@odata.etag"} & loaded.keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no JSON", "contacts.json is not JSON"),
        ('{"value": [{"contactid": NaN}]}', "NaN is no JSON number"),
        ("[]", "is not a Web API answer"),
        ('{"rows": []}', "is not a Web API answer"),
        ('{"value": [7]}', "is not a Web API answer"),
        ([{"fullname": "keyless"}], "row 1: contactid must be a GUID"),
        ([{"contactid": "7"}], "row 1: contactid must be a GUID"),
        ([a_contact(), a_contact(CONTACT.upper())], "row 2: contactid must be a GUID that no"),
    ],
    ids=(
        "no JSON",
        "NaN",
        "list",
        "no value",
        "no rows",
        "no key",
        "short key",
        "equal keys",
    ),
)
def test_a_file_of_another_shape_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, content: Any, message: str
) -> None:
    """The person who exported it can tell what to mend."""
    with pytest.raises(FolderError, match=r"contacts\.json") as caught:
        load_folder(a_folder(tmp_path, contacts=content))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"@odata.nextLink": "https://x/api?page=2"}, "it has a next page"),
        ({"@odata.nextlink": "x"}, "it has a next page"),
        ({"odata.nextLink": "x"}, "it has a next page"),
        ({"@Microsoft.Dynamics.CRM.morerecords": True}, "it has a next page"),
        ({"@odata.count": 7}, "1 rows of 7"),
        ({"@odata.count": "7"}, "1 rows of 7"),
        ({"error": {"code": "0x80040217"}}, "an error that the Web API answered"),
        ({"@odata.context": "https://x/$metadata#accounts(name)"}, "holds rows of accounts"),
    ],
    ids=str,
)
def test_a_file_that_is_not_the_whole_table_is_refused(
    tmp_path: Path, body: dict[str, Any], reason: str
) -> None:
    """What is absent from it would count as deleted."""
    text = json.dumps({**body, "value": [a_contact()]})
    with pytest.raises(FolderError, match=r"contacts\.json ") as caught:
        load_folder(a_folder(tmp_path, contacts=text))
    assert reason in str(caught.value)


def test_a_list_of_changes_is_no_table(tmp_path: Path) -> None:
    """A delta link answers with deletions and with nothing that stayed as it was."""
    gone = {"@odata.context": "https://x/$metadata#contacts/$deletedEntity", "contactid": OTHER}
    with pytest.raises(FolderError, match="list of changes"):
        load_folder(a_folder(tmp_path, contacts=[a_contact(), gone]))


def test_members_that_come_twice_are_refused(tmp_path: Path) -> None:
    """A parser keeps one of them, and the other one vanishes."""
    text = '{"value": [{"contactid": "%s"}], "value": []}'
    with pytest.raises(FolderError, match="has value twice"):
        load_folder(a_folder(tmp_path, contacts=text % CONTACT))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_that_json_may_have_is_read(tmp_path: Path, encoding: str) -> None:
    """PowerShell writes UTF-16 or a BOM unless it is told otherwise."""
    text = json.dumps({"value": [a_contact(fullname="Zoë")]}, ensure_ascii=False)
    (tmp_path / "contacts.json").write_bytes(text.encode(encoding))
    assert load_folder(tmp_path)[1]["contacts"][0]["fullname"] == "Zoë"


def test_another_encoding_is_told_with_the_place_and_without_the_text(tmp_path: Path) -> None:
    """An export of a spreadsheet in a Windows code page."""
    text = json.dumps({"value": [a_contact(fullname="Zoë")]}, ensure_ascii=False)
    (tmp_path / "contacts.json").write_bytes(text.encode("cp1252"))
    with pytest.raises(FolderError, match=r"byte [\d,]+ is no UTF-8; save it as UTF-8") as caught:
        load_folder(tmp_path)
    assert "Zo" not in str(caught.value)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    """A script that failed leaves one behind."""
    with pytest.raises(FolderError, match=r"contacts.json is empty"):
        load_folder(a_folder(tmp_path, contacts=" "))


@pytest.mark.parametrize("name", ["Contacts.json", "CONTACTS.JSON", "contacts.Json"])
def test_the_case_of_a_file_name_does_not_matter(tmp_path: Path, name: str) -> None:
    """It doesn't on Windows, where many exports are made."""
    (tmp_path / name).write_text(json.dumps({"value": [a_contact()]}))
    assert len(load_folder(tmp_path)[1]["contacts"]) == 1


@pytest.mark.parametrize(
    "name", ["contact.json", "contacts (1).json", "contacts.json.txt", "Contacts_.json"]
)
def test_a_file_that_is_almost_named_like_an_absent_table_is_refused(
    tmp_path: Path, name: str
) -> None:
    """Passed over, its table would be empty, and all its rows would count as deleted."""
    (tmp_path / name).write_text(json.dumps({"value": [a_contact()]}))
    with pytest.raises(FolderError, match=r"name it contacts\.json") as caught:
        load_folder(a_folder(tmp_path, accounts=[]))
    assert name in str(caught.value)


def test_two_files_of_one_table_are_refused(tmp_path: Path) -> None:
    """Neither of them is known to be the right one."""
    for name in ("contacts.json", "Contacts.json"):
        (tmp_path / name).write_text(json.dumps({"value": [a_contact()]}))
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system knows no case")
    with pytest.raises(FolderError, match="is the same table as"):
        load_folder(tmp_path)


def test_absent_tables_and_files_passed_over_are_told(tmp_path: Path) -> None:
    """An empty table and an unused file are no faults, but nobody should have to guess."""
    folder = a_folder(tmp_path, contacts=[a_contact()], accounts=[], opportunities=[], leads="x")
    assert [str(finding) for finding in read_folder(folder).findings] == [
        "leads.json is passed over: no table of the sandbox.",
        "connections.json is not there, so the table is empty.",
        "connectionroles.json is not there, so the table is empty.",
    ]


def test_all_faults_are_told_at_once_and_no_value(tmp_path: Path) -> None:
    """File, row, id and column of each; what a person is called, or writes, stays untold."""
    folder = a_folder(
        tmp_path,
        accounts=[{"accountid": ACCOUNT, "revenue": "Secret"}],
        contacts=[a_contact(birthdate="Secret"), {"fullname": "Secret"}],
        opportunities="Secret",
    )
    with pytest.raises(FolderError) as caught:
        load_folder(folder)
    told = str(caught.value)
    assert "opportunities.json is not JSON" in told
    assert "contacts.json, row 2: contactid must be a GUID" in told
    assert "contacts.json, row 1: column birthdate must be a date" in told
    assert f"holds a text; correct it (id {CONTACT})." in told
    assert "accounts.json, row 1: column revenue is Money but holds a text" in told
    assert "Secret" not in told


def test_of_many_rows_with_one_fault_some_are_named_and_the_others_counted(tmp_path: Path) -> None:
    """Twelve thousand lines help nobody."""
    rows = [
        a_contact(f"c0000000-0000-0000-0000-{number:012}", birthdate="?") for number in range(30)
    ]
    findings = read_folder(a_folder(tmp_path, contacts=rows)).findings
    lines = [line for line in describe_findings(findings) if "birthdate" in line]
    assert len(lines) == 11
    assert "column birthdate has 20 more rows like these" in lines[-1]


def test_a_folder_without_any_table_is_refused(tmp_path: Path) -> None:
    """A wrong path would otherwise be an empty organisation."""
    with pytest.raises(FolderError, match="holds no table"):
        load_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("contacts.json", "contacts_2.json"), "contacts_2.json is contacts by its name"),
        (("contacts.json", "contact.json"), "and so is contacts.json"),
        (("contacts_1.json", "contacts_2.json"), "put all rows into one contacts.json"),
    ],
    ids=str,
)
def test_a_table_in_several_files_is_refused(
    tmp_path: Path, names: tuple[str, str], said: str
) -> None:
    """Rows of the one that is passed over would count as deleted; two can't have one name."""
    for name in names:
        (tmp_path / name).write_text(json.dumps({"value": [a_contact()]}))
    with pytest.raises(FolderError, match=re.escape(said)) as caught:
        load_folder(tmp_path)
    assert "name it" not in str(caught.value)


def test_a_copy_that_is_no_json_file_is_passed_over(tmp_path: Path) -> None:
    """Editors leave such files behind."""
    folder = a_folder(tmp_path, contacts=[a_contact()])
    (folder / "contacts.json.bak").write_text("x")
    assert len(load_folder(folder)[1]["contacts"]) == 1
