"""The table of reasons agrees with the code, the schema and the documentation."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock_server.model import errors
from penstock_server.rpc.reasons import REASONS, errors_page

ROOT = Path(__file__).resolve().parent.parent.parent
SERVER = ROOT / "server" / "penstock_server"
KINDS = {kind.__name__: kind for kind in errors.PenstockError.__subclasses__()}


def raises() -> Iterator[tuple[str, type[errors.PenstockError], ast.expr]]:
    """Place, class and reason of every domain error that the server makes."""
    for path in sorted(SERVER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if name in KINDS:
                    yield f"{path.relative_to(SERVER)}:{node.lineno}", KINDS[name], node.args[0]


def test_every_reason_in_the_code_is_in_the_table_with_its_class() -> None:
    wrong = [
        f"{place}: {kind.__name__}({ast.unparse(reason)})"
        for place, kind, reason in raises()
        if not isinstance(reason, ast.Constant)
        or reason.value not in REASONS
        or REASONS[str(reason.value)].kind is not kind
        if kind is not errors.Internal  # whatever its reason, the caller is told INTERNAL
    ]
    assert wrong == []


def test_every_reason_in_the_table_is_raised() -> None:
    raised = {str(reason.value) for _, _, reason in raises() if isinstance(reason, ast.Constant)}
    assert set(REASONS) - raised == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("proto/penstock/v1/*_service.proto")), ids=lambda p: p.stem)
def test_every_reason_that_the_schema_promises_is_in_the_table(path: Path) -> None:
    comments = " ".join(line.strip(" /") for line in path.read_text().splitlines() if "//" in line)
    promised = {
        word
        for sentence in re.findall(r"[Ff]ails? with (.*?)\.(?: |$)", comments)
        for word in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", sentence)
    }
    assert promised - set(REASONS) == set()


def test_the_documentation_is_made_of_the_table() -> None:
    assert (ROOT / "docs" / "reference" / "errors.md").read_text() == errors_page()
