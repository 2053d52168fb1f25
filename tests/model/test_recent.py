"""What was used last, within a bound."""

from penstock_server.model.recent import Recent


def test_what_was_used_least_recently_goes_first() -> None:
    kept: Recent[str, str] = Recent(10)
    kept.keep("a", "first", 4)
    kept.keep("b", "second", 4)
    assert kept.get("a") == "first"
    kept.keep("c", "third", 4)
    assert [kept.get(key) for key in "abc"] == ["first", None, "third"]


def test_the_room_of_what_went_is_used_again() -> None:
    kept: Recent[int, int] = Recent(10)
    for number in range(100):
        kept.keep(number, number, 5)
    assert [kept.get(number) for number in (97, 98, 99)] == [None, 98, 99]


def test_what_is_kept_stays_when_it_comes_again() -> None:
    kept: Recent[str, str] = Recent(10)
    kept.keep("a", "first", 6)
    kept.keep("a", "second", 6)
    assert kept.get("a") == "first"


def test_what_is_larger_than_all_room_is_not_kept_and_drives_nothing_out() -> None:
    kept: Recent[str, str] = Recent(10)
    kept.keep("a", "first", 6)
    kept.keep("b", "second", 11)
    assert [kept.get("a"), kept.get("b")] == ["first", None]
