"""Checks that private parts of aiortc and aioice match what the server's patches expect."""

from __future__ import annotations

import inspect
from typing import Any


def assert_signature(
    owner: Any, name: str, parameters: tuple[str, ...], *, is_async: bool = False
) -> None:
    """Fail, naming the attribute, unless `owner.name` is a function with these parameters.

    Args:
        owner: A module, class or instance.
        name: The attribute.
        parameters: All parameter names in order; without `self` where `owner` is an instance.
        is_async: Whether it must be a coroutine function.
    """
    dotted = f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
    assert hasattr(owner, name), f"expected upstream to have {dotted}, got none"
    function = getattr(owner, name)
    got = tuple(inspect.signature(function).parameters)
    assert got == parameters, f"expected {dotted} to take {parameters}, got {got}"
    assert inspect.iscoroutinefunction(function) is is_async, (
        f"expected {dotted} to be {'async' if is_async else 'a plain function'}, got the opposite"
    )


def assert_attribute(owner: Any, name: str, kind: type) -> None:
    """Fail, naming the attribute, unless `owner.name` exists and is a `kind`."""
    dotted = f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
    assert hasattr(owner, name), f"expected upstream to have {dotted}, got none"
    got = type(getattr(owner, name))
    assert issubclass(got, kind), f"expected {dotted} to be {kind.__name__}, got {got.__name__}"
