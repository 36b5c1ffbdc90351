"""What a function is compiled to below `rankzero run`: with what is seen in it as further outputs, all at once or apart."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import jax

from rankzero.plugin import Run, current_run, guarded
from rankzero_jax.internals import is_jit_off, unchecked
from rankzero_jax.outputs import Form, Outputs, forms, only_samples, without_samples
from rankzero_jax.programs import tapped, with_taps
from rankzero_jax.sampling import of_arguments
from rankzero_jax.zero_change.losses import summed_up

_PROGRAMS = "_rankzero_programs"
_STATIC = {"static_argnums", "static_argnames"}


def programs_of(
    fun: Callable[..., Any], transform: Callable[..., Any], options: dict[str, Any], *, mapped: bool
) -> Programs:
    """The programs of a function: the same ones every time, for JAX finds compiled programs by the function."""
    known = vars(fun).get(_PROGRAMS) if isinstance(fun, FunctionType) else None
    if isinstance(known, Programs) and known.of is fun and known.options == options:
        return known
    programs = Programs(fun, transform, options, mapped=mapped)
    if isinstance(fun, FunctionType):
        setattr(fun, _PROGRAMS, programs)
    return programs


class Programs:
    """The programs of a function, each compiled when it is called.

    The function is traced for the first of them only: in the others it is nested as a compiled function, and what it looks like is
    in JAX's cache.

    Attributes:
        of: the function.
        options: of the transformation.
        tapped: returns beside the function's own result everything that is seen in it.
        spared: the same without samples, so that the compiler leaves out their computation.
    """

    def __init__(
        self, fun: Callable[..., Any], transform: Callable[..., Any], options: dict[str, Any], *, mapped: bool
    ) -> None:
        self.of, self.options = fun, options
        more = with_taps(options, mapped=mapped)
        self._seen: list[Form] = []
        whole = self._noting(tapped(summed_up(fun)))
        self.tapped = transform(whole, **more)
        self._only_samples: Any = None
        if mapped:
            self.spared = transform(tapped(summed_up(fun), "plain"), **more)
        else:
            nested = transform(whole, **{name: options[name] for name in _STATIC & options.keys()})
            self.spared = transform(_without_samples(whole, nested), **more)
            self._only_samples = transform(_only_samples(whole, nested), **of_arguments(options))
        self._are_apart: bool | None = None
        self._run: Run | None = None
        self._done, self._last = 0, 1

    def are_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether samples are taken in calls of their own.

        On CPUs, where they are seldom anyhow; of a function that takes one step at a time, and may be called once more: it does not
        call back to the host, and has no collectives in which a process that is not recorded would be waited for.

        Args:
            args: of the first call.
            kwargs: of the first call.
        """
        if is_jit_off():
            return False
        if self._are_apart is None:
            self._are_apart = self._only_samples is not None and self._is_step(args, kwargs)
        return self._are_apart

    def spares(self, every: int) -> bool:
        """Whether no sample is wanted of the next call; each function counts for itself, from its first step in a run.

        Args:
            every: steps between two samples; 0: all are wanted.
        """
        if self._run is not None and current_run() is not self._run:
            self._done, self._last = 0, 1
        return every > 0 and self._done % every >= self._last

    def took(self, outputs: Outputs) -> None:
        """A call handed these out."""
        steps = max(forms[number].steps for number in outputs)
        self._run = current_run()
        self._done, self._last = self._done + steps, steps or self._last

    def look_again(self) -> None:
        """What the first call was like is not what later ones are like."""
        self._are_apart = None

    @guarded("measuring gradients beside a step")
    def take(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outputs:
        """The samples of a call with these arguments, which are not donated."""
        with unchecked():
            outputs: Outputs = self._only_samples(*args, **kwargs)
            return outputs

    def clear_cache(self) -> None:
        """Forget the compiled programs."""
        for program in (self.tapped, self.spared, self._only_samples):
            if program is not None:
                program.clear_cache()

    def cache_size(self) -> int:
        """How many programs there would be of the function without us."""
        return max(int(program._cache_size()) for program in (self.tapped, self.spared))  # noqa: SLF001 - what they stand for

    def _is_step(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if "optax" not in sys.modules or jax.default_backend() != "cpu" or jax.process_count() > 1:
            return False
        traced = self.tapped.trace(*args, **kwargs)
        return not traced.jaxpr.effects and any(form.sampled and form.steps == 1 for form in self._seen)

    def _noting(self, tapping: Callable[..., Any]) -> Callable[..., Any]:
        """Remember what was seen in the function when it was traced last."""

        @functools.wraps(tapping, updated=())
        def whole(*args: Any, **kwargs: Any) -> Any:
            out, outputs = tapping(*args, **kwargs)
            self._seen = [forms[number] for number in outputs]
            return out, outputs

        return whole


def _without_samples(whole: Callable[..., Any], nested: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(whole, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        out, outputs = nested(*args, **kwargs)
        return out, without_samples(outputs)

    return call


def _only_samples(whole: Callable[..., Any], nested: Callable[..., Any]) -> Callable[..., Outputs]:
    @functools.wraps(whole, updated=())
    def call(*args: Any, **kwargs: Any) -> Outputs:
        _, outputs = nested(*args, **kwargs)
        return only_samples(outputs)

    return call
