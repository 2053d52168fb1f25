"""The table of reasons agrees with the code, the schema and the documentation."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock_server.model import errors
from penstock_server.rpc.errors_page import errors_page
from penstock_server.rpc.reasons import REASONS

ROOT = Path(__file__).resolve().parent.parent.parent
SERVER = ROOT / "server" / "penstock_server"
KINDS = {kind.__name__: kind for kind in errors.PenstockError.__subclasses__()}


def raises() -> Iterator[tuple[str, type[errors.PenstockError], list[str]]]:
    """Place, class and possible reasons of every domain error that the server makes.

    Where the reason comes from elsewhere in its module it is one of the words that stand there.
    """
    for path in sorted(SERVER.rglob("*.py")):
        tree = ast.parse(path.read_text())
        words = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and (kind := KINDS.get(called(node))) is not None:
                reason = node.args[0]
                known = [word for word in words & set(REASONS) if REASONS[word].kind is kind]
                place = f"{path.relative_to(SERVER)}:{node.lineno}"
                yield place, kind, [str(reason.value)] if isinstance(reason, ast.Constant) else known


def called(node: ast.Call) -> str:
    """The name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_every_reason_in_the_code_is_in_the_table_with_its_class() -> None:
    wrong = [
        f"{place}: {kind.__name__}({reasons})"
        for place, kind, reasons in raises()
        if not reasons or not all(word in REASONS and REASONS[word].kind is kind for word in reasons)
        if kind is not errors.Internal  # whatever its reason, the caller is told INTERNAL
    ]
    assert wrong == []


def test_every_reason_in_the_table_is_raised() -> None:
    raised = {reason for _, _, reasons in raises() for reason in reasons}
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
