"""Gathers what is wrong with a document, each with its path, up to a bound."""

from penstock_server.model.errors import FieldViolation, InvalidArgument

VIOLATIONS_MAX = 50
SHOWN_MAX = 5


class Violations:
    """What has been found so far."""

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: str, description: str) -> None:
        """Note a violation; beyond the bound they are not told."""
        if len(self._found) < VIOLATIONS_MAX:
            self._found.append(FieldViolation(path, description, "INVALID_SPEC"))

    def raise_if_any(self) -> None:
        """Raise InvalidArgument(INVALID_SPEC) naming all."""
        if not self._found:
            return
        told = "; ".join(f"{v.field}: {v.description}" for v in self._found[:SHOWN_MAX])
        more = len(self._found) - SHOWN_MAX
        message = f"the pipeline spec is wrong: {told}" + (f"; and {more} more" if more > 0 else "")
        raise InvalidArgument("INVALID_SPEC", message, violations=self._found)
