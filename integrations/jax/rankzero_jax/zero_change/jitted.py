"""Functions compiled by `jax.jit`, which return to us what was seen in them and to the program what it asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

import jax

from rankzero_jax.internals import is_checking, is_top_level, unseen
from rankzero_jax.outputs import Outputs, forms, unpacked
from rankzero_jax.programs import of_first_device
from rankzero_jax.taps import collector
from rankzero_jax.zero_change.arguments import arguments
from rankzero_jax.zero_change.compiled import programs_of
from rankzero_jax.zero_change.loop import Loop

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

    As long as no optimizer is seen in the function, its program is the one that it would be. Of one in which gradients are
    measured, and not at every step, there are two programs. On CPUs one does nothing but measure, beside the step, which has the
    bits that it has without us. Where that cannot be, the step itself measures, and has a program that does not as well once it
    has run for as many steps as lie between two samples. The function itself is traced once.
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
        self._programs = programs_of(fun, transform, options, mapped=mapped)
        self._loop = loop
        self._mapped = mapped
        self._sampled = 0

    @unseen
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if not is_top_level() or collector() is not None:
            return self._inside(*args, **kwargs)
        programs, every = self._programs, self._loop.every
        spares = programs.spares(every)
        arguments.given, arguments.mapped = (args, kwargs), self._mapped
        try:
            beside = programs.are_apart(args, kwargs)
            sample = programs.take(args, kwargs) if beside and not spares else None
            spared = beside or is_checking() or (spares and self._sampled >= every)
            out, outputs = (programs.spared if spared else programs.tapped)(*args, **kwargs)
        finally:
            arguments.given = None
        if outputs:
            programs.took(outputs)
            self._noted(outputs)
            outputs = {**outputs, **(sample or {})}
            self._loop.arrived(jax.tree.map(of_first_device, outputs) if self._mapped else outputs, spared=spares)
        return out

    def _noted(self, outputs: Outputs) -> None:
        """A function whose first call is no step, its second one, is looked at again."""
        if any(forms[number].sampled for number in outputs):
            if not self._sampled:
                self._programs.look_again()
            self._sampled += 1

    def _inside(self, *args: Any, **kwargs: Any) -> Any:
        """Call it while another function is being traced, or run as Python (`jax.debug_nans`): what was seen in it was seen in that one."""
        here = None if self._mapped else collector()
        if here is None:
            return self._original(*args, **kwargs)
        out, outputs = self._programs.tapped(*args, **kwargs)
        for number, arrays in outputs.items():
            for tap in unpacked(number, arrays):
                if tap.kind == "loss":
                    given = set(map(id, jax.tree.leaves((args, kwargs))))
                    computed = [leaf for leaf in jax.tree.leaves(out) if id(leaf) not in given]
                    here.differentiated.add(tap.numbers, computed, tap.about[0])
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
        self._programs.clear_cache()

    def _cache_size(self) -> int:
        """How many programs there are."""
        return self._programs.cache_size()
