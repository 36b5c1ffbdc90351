"""Functions compiled by `jax.jit`, which return to us what was seen in them and to the program what it asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import jax

from rankzero_jax.internals import is_top_level, unseen
from rankzero_jax.outputs import unpacked
from rankzero_jax.programs import of_first_device, tapped, with_taps
from rankzero_jax.taps import collector
from rankzero_jax.zero_change.arguments import arguments
from rankzero_jax.zero_change.loop import Loop
from rankzero_jax.zero_change.losses import summed_up

_TAPPED = "_rankzero_tapped"
_NOT_GIVEN = object()


def around_jit(loop: Loop) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `jax.jit`."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def jit(fun: Any = _NOT_GIVEN, /, *more: Any, **options: Any) -> Any:
            if fun is _NOT_GIVEN:
                return functools.partial(jit, **options)
            if more or not callable(fun):
                return original(fun, *more, **options)
            return Jitted(original, fun, options, loop)

        return jit

    return around


def around_pmap(loop: Loop) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `jax.pmap`."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def pmap(fun: Any, axis_name: Any = None, **options: Any) -> Any:
            return Jitted(original, fun, {"axis_name": axis_name, **options}, loop, mapped=True)

        return pmap

    return around


class Jitted:
    """What `jax.jit` returned, looked at from outside; a call runs the function with further outputs if there are any to have.

    As long as no optimizer is seen in the function, its program is the one that it would be. Of one with an optimizer there may be
    two programs: one that measures gradients, with which it begins, and one that does not.
    """

    def __init__(
        self,
        transform: Callable[..., Any],
        fun: Callable[..., Any],
        options: dict[str, Any],
        loop: Loop,
        *,
        mapped: bool = False,
    ) -> None:
        functools.update_wrapper(self, fun, updated=())
        self._original = transform(fun, **options)
        more = with_taps(options, mapped=mapped)
        self._tapped = transform(_tapped_once(fun, None), **more)
        self._spared = transform(_tapped_once(fun, "plain"), **more)
        self._loop = loop
        self._mapped = mapped
        self._trains = False

    @unseen
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if not is_top_level():
            return self._inside(*args, **kwargs)
        arguments.given, arguments.mapped = (args, kwargs), self._mapped
        try:
            out, outputs = (self._spared if self._trains and self._loop.spares else self._tapped)(*args, **kwargs)
        finally:
            arguments.given = None
        if outputs:
            self._trains = True
            self._loop.arrived(jax.tree.map(of_first_device, outputs) if self._mapped else outputs)
        return out

    def _inside(self, *args: Any, **kwargs: Any) -> Any:
        """Call it while another function is being traced: what was seen in it was seen in that one."""
        here = None if self._mapped else collector()
        if here is None:
            return self._original(*args, **kwargs)
        out, outputs = self._tapped(*args, **kwargs)
        for number, arrays in outputs.items():
            for tap in unpacked(number, arrays):
                if tap.kind == "loss":
                    here.loss = tap.numbers[0]
                else:
                    here.taps.append(tap)
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
        self._spared.clear_cache()

    def _cache_size(self) -> int:
        """How many programs there are."""
        return int(self._tapped._cache_size())  # noqa: SLF001 - what it stands for


def _tapped_once(fun: Callable[..., Any], about: str | None) -> Callable[..., Any]:
    """The tapped form of a function: the same one every time, for JAX finds compiled programs by the function."""
    if not isinstance(fun, FunctionType):
        return tapped(summed_up(fun), about)
    name = f"{_TAPPED}_{about}"
    known = fun.__dict__.get(name)
    if known is None or known.__wrapped__.__wrapped__ is not fun:
        known = tapped(summed_up(fun), about)
        setattr(fun, name, known)
    return known
