"""Functions compiled by `jax.jit`, which return to us what was seen in them and to the program what it asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from rankzero_jax.internals import is_top_level, mode
from rankzero_jax.programs import tapped, with_taps
from rankzero_jax.taps import collector
from rankzero_jax.zero_change.loop import Loop
from rankzero_jax.zero_change.losses import summed_up

_TAPPED = "_rankzero_tapped"


def around_jit(loop: Loop) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `jax.jit`."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def jit(*args: Any, **options: Any) -> Any:
            if not args or not callable(args[0]) or isinstance(args[0], Jitted):
                return functools.partial(jit, **options) if not args else original(*args, **options)
            return Jitted(original, args[0], options, loop)

        return jit

    return around


class Jitted:
    """What `jax.jit` returned, looked at from outside; a call runs the function with further outputs if there are any to have.

    As long as no optimizer is seen in the function, its program is the one that it would be.
    """

    def __init__(
        self, jit: Callable[..., Any], fun: Callable[..., Any], options: dict[str, Any], loop: Loop
    ) -> None:
        functools.update_wrapper(self, fun, updated=())
        self._original = jit(fun, **options)
        self._tapped = jit(_tapped_once(fun), **with_taps(options))
        self._loop = loop

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if is_top_level():
            if self._loop.due:
                with mode("recorded"):
                    out, taps = self._tapped(*args, **kwargs)
            else:
                out, taps = self._tapped(*args, **kwargs)
            if taps:
                self._loop.arrived(taps)
            return out
        here = collector()
        if here is None:
            return self._original(*args, **kwargs)
        out, taps = self._tapped(*args, **kwargs)
        here.taps.extend(tap for tap in taps if tap.kind != "loss")
        for tap in taps:
            if tap.kind == "loss":
                here.loss = tap.numbers[0]
        return out

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """A method of `owner`, as any function is."""
        return self if owner is None else MethodType(self, owner)

    def __getattr__(self, name: str) -> Any:
        """What `jax.jit`'s own result has: `lower`, `trace`, `clear_cache`, ..."""
        if name == "_original":
            raise AttributeError(name)
        return getattr(self._original, name)

    def __reduce__(self) -> Any:
        """Pickled as `jax.jit`'s own result."""
        return self._original.__reduce__()

    def __repr__(self) -> str:
        return repr(self._original)

    def clear_cache(self) -> None:
        """Forget the compiled programs."""
        self._original.clear_cache()
        self._tapped.clear_cache()

    def _cache_size(self) -> int:
        """How many programs there are."""
        return int(self._tapped._cache_size())  # noqa: SLF001 - what it stands for


def _tapped_once(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The tapped form of a function: the same one every time, for JAX finds compiled programs by the function."""
    whole = summed_up(fun)
    if not isinstance(fun, FunctionType):
        return tapped(whole)
    known = fun.__dict__.get(_TAPPED)
    if known is None or known.__wrapped__.__wrapped__ is not fun:
        known = tapped(whole)
        setattr(fun, _TAPPED, known)
    return known  # type: ignore[no-any-return]
