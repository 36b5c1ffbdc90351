"""Functions compiled by `jax.jit`, which return to us what was seen in them and to the program what it asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, NamedTuple

import jax

from rankzero_jax.internals import is_top_level, unseen
from rankzero_jax.outputs import forms, unpacked, without_samples
from rankzero_jax.programs import of_first_device, tapped, with_taps
from rankzero_jax.taps import collector
from rankzero_jax.zero_change.arguments import arguments
from rankzero_jax.zero_change.loop import Loop
from rankzero_jax.zero_change.losses import summed_up

_PROGRAMS = "_rankzero_programs"
_NOT_GIVEN = object()
_STATIC = {"static_argnums", "static_argnames"}


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

    As long as no optimizer is seen in the function, its program is the one that it would be. Of one in which gradients are measured,
    and not at every step, there are two programs once it has run for as many steps as lie between two samples: one that measures,
    with which it begins, and one that does not. The function itself is traced once.
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
        self._programs = _programs_of(fun, transform, options, mapped=mapped)
        self._loop = loop
        self._mapped = mapped
        self._sampled = 0

    @unseen
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if not is_top_level():
            return self._inside(*args, **kwargs)
        spares = self._loop.spares
        program = self._programs.spared if spares and self._sampled >= self._loop.every else self._programs.tapped
        arguments.given, arguments.mapped = (args, kwargs), self._mapped
        try:
            out, outputs = program(*args, **kwargs)
        finally:
            arguments.given = None
        if outputs:
            self._sampled += any(forms[number].sampled for number in outputs)
            self._loop.arrived(jax.tree.map(of_first_device, outputs) if self._mapped else outputs, spared=spares)
        return out

    def _inside(self, *args: Any, **kwargs: Any) -> Any:
        """Call it while another function is being traced: what was seen in it was seen in that one."""
        here = None if self._mapped else collector()
        if here is None:
            return self._original(*args, **kwargs)
        out, outputs = self._programs.tapped(*args, **kwargs)
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
        self._programs.tapped.clear_cache()
        self._programs.spared.clear_cache()

    def _cache_size(self) -> int:
        """How many programs there are."""
        return int(self._programs.tapped._cache_size())  # noqa: SLF001 - what it stands for


class _Programs(NamedTuple):
    """What a function is compiled to: with what is seen in it as further outputs, and with those that are not samples."""

    of: Callable[..., Any]
    options: dict[str, Any]
    tapped: Any
    spared: Any


def _programs_of(
    fun: Callable[..., Any], transform: Callable[..., Any], options: dict[str, Any], *, mapped: bool
) -> _Programs:
    """The programs of a function: the same ones every time, for JAX finds compiled programs by the function."""
    known = vars(fun).get(_PROGRAMS) if isinstance(fun, FunctionType) else None
    if isinstance(known, _Programs) and known.of is fun and known.options == options:
        return known
    more = with_taps(options, mapped=mapped)
    tapping = tapped(summed_up(fun))
    sparing = tapped(summed_up(fun), "plain") if mapped else _sparing(tapping, transform, options)
    programs = _Programs(fun, options, transform(tapping, **more), transform(sparing, **more))
    if isinstance(fun, FunctionType):
        setattr(fun, _PROGRAMS, programs)
    return programs


def _sparing(tapping: Callable[..., Any], transform: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    """A function that does what another does, without the samples, so that the compiler leaves out their computation.

    The other is not traced again: it is nested as a compiled function, and what it looks like is in JAX's cache.
    """
    nested = transform(tapping, **{name: options[name] for name in _STATIC & options.keys()})

    @functools.wraps(tapping, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        out, outputs = nested(*args, **kwargs)
        return out, without_samples(outputs)

    return call
