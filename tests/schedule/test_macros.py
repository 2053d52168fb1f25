"""Macros write what they say, once, and wrong ones are refused before a job is made."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from penstock_server.model.errors import InvalidArgument
from penstock_server.model.json import Json
from penstock_server.schedule import macros
from penstock_server.schedule.macros import EXAMPLE, SlotFacts

FACTS = SlotFacts(
    scheduled_time=datetime(2026, 1, 31, 23, 5, 9, 120_000, tzinfo=UTC),
    interval_start=datetime(2026, 1, 30, 23, 5, 9, tzinfo=UTC),
    interval_end=datetime(2026, 1, 31, 23, 5, 9, tzinfo=UTC),
    index=7,
    current_time=datetime(2026, 2, 1, 0, 0, 2, tzinfo=UTC),
    run_uid="3f1c",
)
NO_SLOT = dataclasses.replace(FACTS, scheduled_time=None, interval_start=None, interval_end=None, index=None)


def expanded(value: Json, facts: SlotFacts = FACTS) -> Json:
    return macros.expand({"p": value}, facts, numeric=frozenset())["p"]


def refusal(parameters: Mapping[str, Json]) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as refused:
        macros.check(parameters, field="job.run.parameters")
    assert refused.value.reason == "INVALID_MACRO"
    assert {violation.reason for violation in refused.value.violations} == {"INVALID_MACRO"}
    return refused.value


OWN = {
    "${slot.time}": "2026-01-31T23:05:09Z",
    "${slot.start}": "2026-01-30T23:05:09Z",
    "${slot.end}": "2026-01-31T23:05:09Z",
    "${run.create_time}": "2026-02-01T00:00:02Z",
    "${slot.index}": "7",
    "${run.uid}": "3f1c",
    "${slot.time:%Y-%m-%d}": "2026-01-31",
    "${slot.time:%H:%M:%S.%f}": "23:05:09.120000",
    "${slot.time@Europe/Berlin}": "2026-02-01T00:05:09+01:00",
    "${slot.time@Europe/Berlin:%F %T %Z %z}": "2026-02-01 00:05:09 CET +0100",
    "${slot.time@UTC}": "2026-01-31T23:05:09Z",
    "${run.create_time@America/New_York:%A %d %B}": "Saturday 31 January",
    "${slot.time:%a %b %e %j %U %W %u %w %V %G %y %p %I %R}": "Sat Jan 31 031 04 04 6 6 05 2026 26 PM 11 23:05",
    "${slot.time:%s}": "1769900709",
    "${slot.time:100%%}": "100%",
    "${slot.time:}": "",
    "${slot.time:é\ud800}": "é\ud800",
    "s3://b/${slot.start:%Y/%m/%d}/${slot.index}-${run.uid}.csv": "s3://b/2026/01/30/7-3f1c.csv",
    "$${slot.time}": "${slot.time}",
    "$$${slot.index}": "$${slot.index}",
    "$${HOME}": "${HOME}",
    "${HOME} ${} $slot.time {slot.time} ${slots.time} ${SLOT.time} $": "${HOME} ${} $slot.time {slot.time} "
    "${slots.time} ${SLOT.time} $",
    "${${slot.index}}": "${7}",
}
KFP = {
    "[[ScheduledTime]]": "20260131230509",
    "[[CurrentTime]]": "20260201000002",
    "[[Index]]": "7",
    "[[RunUUID]]": "3f1c",
    "[[ScheduledTime.2006-01-02]]": "2026-01-31",
    "[[CurrentTime.20060102]]": "20260201",
    "[[ScheduledTime.Mon, 02 Jan 2006 15:04:05 MST]]": "Sat, 31 Jan 2026 23:05:09 UTC",
    "{{$.scheduledTime.strftime('%Y-%m-%d')}}": "2026-01-31",
    '{{$.currentTime.strftime("%H:%M")}}': "00:00",
    "a-[[Index]]-[[Index]]": "a-7-7",
    "[[[Index]]]": "[7]",
    "[[Unknown]] [[index]] [[Index.1]] [[ScheduledTime.]] [[]]": "[[Unknown]] [[index]] [[Index.1]] "
    "[[ScheduledTime.]] [[]]",
    "{{$.scheduledTime.strftime('%Q')}}": "{{$.scheduledTime.strftime('%Q')}}",
    "{{$.scheduledTime.strftime('%')}}": "{{$.scheduledTime.strftime('%')}}",
    "{{$.scheduledTime.strftime('%Y\")}}": "{{$.scheduledTime.strftime('%Y\")}}",
    "{{$.inputs.parameters['x']}}": "{{$.inputs.parameters['x']}}",
}


@pytest.mark.parametrize(("text", "written"), [*OWN.items(), *KFP.items()])
def test_macros_are_written_out(text: str, written: str) -> None:
    assert expanded(text) == written
    macros.check({"p": text})


def test_strings_at_any_depth_are_expanded_and_nothing_else() -> None:
    value: Json = [{"${slot.index}": ["${slot.index}", 1, None, True, 2.5]}, "[[Index]]"]
    assert expanded(value) == [{"${slot.index}": ["7", 1, None, True, 2.5]}, "7"]


def test_what_a_macro_writes_is_not_read_as_a_macro() -> None:
    facts = dataclasses.replace(FACTS, run_uid="[[Index]] ${slot.index} $${")
    assert expanded("${run.uid}|[[RunUUID]]", facts) == "[[Index]] ${slot.index} $${|[[Index]] ${slot.index} $${"
    assert expanded("$${slot.index}") == "${slot.index}"
    assert expanded("[[${slot.index}Index]]") == "[[7Index]]"


@pytest.mark.parametrize("text", ["${slot.index}", "[[Index]]"])
def test_the_index_alone_becomes_a_number_where_one_is_wanted(text: str) -> None:
    given: dict[str, Json] = {"n": text, "t": text, "u": f"{text}0", "v": [text], "w": 4}
    found = macros.expand(given, FACTS, numeric=frozenset({"n", "u", "v", "w"}))
    assert found == {"n": 7, "t": "7", "u": "70", "v": ["7"], "w": 4}
    assert macros.expand({"n": text}, NO_SLOT, numeric=frozenset({"n"})) == {"n": text}


@pytest.mark.parametrize(
    "text",
    [
        "${slot.time} ${slot.start:%Y} ${slot.end@UTC} ${slot.index}",
        "[[ScheduledTime]] [[ScheduledTime.2006]] [[Index]] {{$.scheduledTime.strftime('%Y')}}",
    ],
)
def test_a_run_without_a_slot_keeps_the_macros_of_slots(text: str) -> None:
    assert expanded(text, NO_SLOT) == text
    assert expanded("${run.uid} ${run.create_time:%d} [[RunUUID]] [[CurrentTime.02]]", NO_SLOT) == "3f1c 01 3f1c 01"


WRONG = {
    "${slot.tim}": "there are run.create_time, run.uid, slot.end, slot.index, slot.start, slot.time",
    "${slot.}": "there are run.create_time",
    "${run.name}": "there are run.create_time",
    "${slot.time }": "there are run.create_time",
    "${slot.time@Europe/Berln}": "did you mean Europe/Berlin",
    "${slot.time@}": "'' is no time zone",
    "${slot.time@../../etc/passwd}": "is no time zone",
    "${slot.time:%Q}": "'%Q' is no directive; there are %a %A",
    "${slot.time:%-d}": "'%-' is no directive",
    "${slot.time:%c}": "'%c' is no directive",
    "${slot.time:%Y%}": "'%' is no directive",
    "${slot.time": "it has no closing }",
    "${slot.index:%d}": "slot.index takes neither a zone nor a format",
    "${run.uid@UTC}": "run.uid takes neither a zone nor a format",
}


@pytest.mark.parametrize(("text", "told"), WRONG.items())
def test_a_wrong_macro_of_ours_is_refused_where_it_stands(text: str, told: str) -> None:
    error = refusal({"good": "${slot.time}", "bad": [{"k": f"x {text}"}]})
    assert [violation.field for violation in error.violations] == ["job.run.parameters.bad"]
    assert told in error.message
    assert text[:20] in error.message
    assert expanded(f"x {text}") == f"x {text}"


def test_all_wrong_parameters_are_named_up_to_a_bound() -> None:
    error = refusal({f"p{n}": "${slot.x}" for n in range(200)})
    assert [violation.field for violation in error.violations] == [f"job.run.parameters.p{n}" for n in range(50)]
    assert len(error.message) < 2000


def test_macros_that_write_too_much_are_refused_and_large_texts_without_are_not() -> None:
    error = refusal({"p": "x", "q": ["${run.uid}" * 2000] * 2})
    assert "q: its macros write too much; 131072 characters are allowed" in error.message
    many: Json = ["${run.uid}" * 2000] * 40
    with pytest.raises(InvalidArgument, match="write too much"):
        macros.expand({"p": many}, EXAMPLE, numeric=frozenset())
    plain = "[[ not a macro ${x} " * 100_000
    macros.check({"p": plain})
    assert expanded(plain) == plain


def test_what_is_nested_too_deep_is_refused() -> None:
    deep: Json = "${slot.index}"
    for _ in range(macros.DEPTH_MAX):
        deep = [deep]
    macros.check({"p": deep})
    assert "nested deeper than 100" in refusal({"p": [deep]}).message
    with pytest.raises(InvalidArgument, match="nested deeper"):
        expanded([deep])


@pytest.mark.parametrize(
    "piece", ["${slot.", "[[ScheduledTime.", "{{$.scheduledTime.strftime('", "$${", "%", "[[", "{{$.", "${"]
)
def test_hostile_text_is_read_in_one_pass(piece: str) -> None:
    """Two million characters; whoever reads them quadratically does not come to an end."""
    text = piece * (2_000_000 // len(piece))
    assert expanded(text) == (text if piece != "$${" else "${" * (len(text) // 3))


def test_the_example_is_as_long_as_any() -> None:
    text = "${slot.time:%A %B %d %j %Z %f}${slot.time@Asia/Kolkata:%Z}[[ScheduledTime.Monday January 2 15:04 PM]]"
    longest = len(str(expanded(text, EXAMPLE)))
    for month in range(1, 13):
        for day in range(1, 29):
            facts = dataclasses.replace(FACTS, scheduled_time=datetime(2026, month, day, 9, tzinfo=UTC))
            assert len(str(expanded(text, facts))) <= longest
