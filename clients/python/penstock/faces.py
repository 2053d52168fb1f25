"""Makes methods of operations: plain ones in a blocking client, awaitable ones in an asyncio client.

    class RunMethods(Face):
        @operation
        def get(self, run: RunRef) -> Operation[Run]:
            response = yield from invoke(GetRunRequest(name=...), GetRunResponse)
            return response.run

    class BlockingRuns(RunMethods, Blocking): ...        # get(run) -> Run
    class AsynchronousRuns(RunMethods, Asynchronous): ... # get(run) -> awaitable of Run

`items` does the same for operations that emit: their methods return an iterator, or an async iterator. Type
checkers see each method with its own parameters and the result of its colour.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from penstock.effects import Items, Operation

if TYPE_CHECKING:
    from penstock.asynchronous import AsynchronousDriver
    from penstock.blocking import BlockingDriver

P = ParamSpec("P")
T = TypeVar("T")


class Face:
    """A part of a client: it knows the namespace that short names belong to."""

    def __init__(self, driver: "BlockingDriver | AsynchronousDriver", namespace: str) -> None:
        self._driver = driver
        self._namespace = namespace.removeprefix("namespaces/")


class Blocking(Face):
    """A face whose methods return when they are done."""

    _driver: "BlockingDriver"


class Asynchronous(Face):
    """A face whose methods return awaitables and async iterators."""

    _driver: "AsynchronousDriver"


class OperationMethod(Generic[P, T]):
    """A method made of an operation that returns one thing."""

    def __init__(self, body: Callable[Concatenate[Any, P], Operation[T]]) -> None:
        self._body = body
        self.__doc__ = body.__doc__

    @overload
    def __get__(self, face: None, owner: type) -> Callable[Concatenate[Any, P], Operation[T]]: ...
    @overload
    def __get__(self, face: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, face: Asynchronous, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, face: Any, owner: type) -> Callable[..., Any]:
        if face is None:
            return self._body

        @wraps(self._body)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return face._driver.result(self._body(face, *args, **kwargs))

        return method


class ItemsMethod(Generic[P, T]):
    """A method made of an operation that emits items."""

    def __init__(self, body: Callable[Concatenate[Any, P], Items[T]]) -> None:
        self._body = body
        self.__doc__ = body.__doc__

    @overload
    def __get__(self, face: None, owner: type) -> Callable[Concatenate[Any, P], Items[T]]: ...
    @overload
    def __get__(self, face: Blocking, owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, face: Asynchronous, owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...

    def __get__(self, face: Any, owner: type) -> Callable[..., Any]:
        if face is None:
            return self._body

        @wraps(self._body)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return face._driver.items(self._body(face, *args, **kwargs))

        return method


def operation(body: Callable[Concatenate[Any, P], Operation[T]]) -> OperationMethod[P, T]:
    """Make a method that does the whole operation and gives its result."""
    return OperationMethod(body)


def items(body: Callable[Concatenate[Any, P], Items[T]]) -> ItemsMethod[P, T]:
    """Make a method that gives the items of the operation one after the other."""
    return ItemsMethod(body)
