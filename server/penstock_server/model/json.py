"""JSON values as KFP means them: every number is a double, and an integral one is written without a fraction.

From `WHOLE_MAX` on it is written with an exponent, as ECMAScript does.
"""

from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
JsonObject: TypeAlias = dict[str, "Json"]


WHOLE_MAX = 10**21


def with_integers(value: Json) -> Json:
    """`value` with each integral float, at any depth, as an int: steps check `isinstance(x, int)`."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < WHOLE_MAX else value
    if isinstance(value, list):
        return [with_integers(item) for item in value]
    if isinstance(value, Mapping):
        return {key: with_integers(item) for key, item in value.items()}
    return value
