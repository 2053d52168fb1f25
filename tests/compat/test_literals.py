"""Text of KFP's clients stays as it is, whatever macros of ours it seems to hold."""

import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from penstock_server.compat.literals import escaped, escaped_values, unescaped, unescaped_values
from penstock_server.model.json import Json
from penstock_server.schedule.macros import SlotFacts, check, expand

FACTS = SlotFacts(None, None, None, 3, datetime(2026, 3, 1, tzinfo=UTC), str(uuid.UUID(int=1)))
TEXTS = st.lists(st.sampled_from(["$", "$$", "{", "${", "${slot.time}", "${run.uid}", "}", "a"])).map("".join)


@given(TEXTS)
def test_no_macro_of_ours_is_found_in_it(text: str) -> None:
    check({"text": escaped(text)})
    assert expand({"text": escaped(text)}, FACTS, numeric=frozenset()) == {"text": text}


@given(TEXTS)
def test_it_is_told_as_it_was_given(text: str) -> None:
    assert unescaped(escaped(text)) == text


def test_macros_of_kfp_stay_macros() -> None:
    assert expand({"text": escaped("[[Index]] of ${x}")}, FACTS, numeric=frozenset()) == {"text": "3 of ${x}"}


def test_texts_at_any_depth_are_meant() -> None:
    given: dict[str, Json] = {"deep": [{"text": "${run.uid}", "number": 1}], "none": None}
    assert escaped_values(given) == {"deep": [{"text": "$${run.uid}", "number": 1}], "none": None}
    assert unescaped_values(escaped_values(given)) == given
