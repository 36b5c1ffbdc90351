"""Where gradients are seen: in Keras's own optimizers, as they are about to use them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

import keras
from keras import ops

from rankzero.plugin import guarded, replace
from rankzero_keras.measuring.rates import inner
from rankzero_keras.measuring.statistics import Sample, even_sample
from rankzero_keras.measuring.wanted import Wanted


class Taps(threading.local):
    """Of a thread: TensorFlow has one for each replica.

    Attributes:
        samples: of the steps that were seen since they were taken last: each optimizer's last one, in the order in which they came.
        depth: of optimizers' calls of one another.
        variables: of the step under way, where gradients of several replicas are still to be added.
        seconds: that measuring took so far.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[Any, Sample]] = []
        self.depth = 0
        self.variables: list[Any] | None = None
        self.seconds = 0.0


class Asked:
    """Whether optimizer steps that are executed or traced now are to be measured, and what of them.

    A measurement is made where a step is traced: programs that are compiled while this is None hold none.
    """

    def __init__(self) -> None:
        self.wanted: Wanted | None = None


taps = Taps()
asked = Asked()


def install() -> None:
    """Listen, once however often it is asked for. As long as nobody asks, an optimizer's call costs one look."""
    scaling = keras.optimizers.LossScaleOptimizer
    for owner in {*keras.optimizers.Optimizer.__mro__, *scaling.__mro__}:
        if "apply" in owner.__dict__ and owner is not object:
            replace(owner, "apply", _around_apply)
        if "_all_reduce_sum_gradients" in owner.__dict__:
            replace(owner, "_all_reduce_sum_gradients", _around_reduce)
    if "stateless_apply" in scaling.__dict__:
        replace(scaling, "stateless_apply", _around_stateless)


def take() -> list[tuple[Any, Sample]]:
    """The samples of this thread's last step, once: each with its optimizer, without what scales the loss."""
    samples, taps.samples = taps.samples, []
    return samples


def spent() -> float:
    """The seconds that measuring took in this thread since the last call."""
    seconds, taps.seconds = taps.seconds, 0.0
    return seconds


def place() -> Any:
    """What is being traced here: nothing that is computed in a part of it, as in a condition, is to be had outside of that part."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return sys.modules["tensorflow"].compat.v1.get_default_graph()
    if backend == "jax":
        from jax.extend import core

        newer = getattr(core, "get_opaque_trace_state", None)
        return (newer or sys.modules["jax"].core.get_opaque_trace_state)(convention="nnx")
    return None


def _around_apply(original: Callable[..., Any]) -> Callable[..., Any]:
    before, after = guarded("measuring gradients")(_before), guarded("measuring parameters")(_after)

    def apply(optimizer: Any, grads: Any, trainable_variables: Any = None, *more: Any, **kwargs: Any) -> Any:
        wanted = asked.wanted
        if wanted is None or taps.depth:
            return original(optimizer, grads, trainable_variables, *more, **kwargs)
        grads = list(grads)
        variables = list(trainable_variables) if trainable_variables is not None else None
        taps.depth += 1
        try:
            if not optimizer.built:
                with keras.name_scope(optimizer.name):
                    optimizer.build(variables)
            known = inner(optimizer)._trainable_variables if variables is None else variables  # noqa: SLF001 - as `apply` does
            began = perf_counter()
            seen = before(wanted, optimizer, grads, known)
            taps.seconds += perf_counter() - began
            result = original(optimizer, grads, variables, *more, **kwargs)
            began = perf_counter()
            after(wanted, seen)
            taps.seconds += perf_counter() - began
        finally:
            taps.depth -= 1
            taps.variables = None
        return result

    return apply


def _around_stateless(original: Callable[..., Any]) -> Callable[..., Any]:
    measure = guarded("measuring gradients")(_measure_stateless)

    def stateless_apply(optimizer: Any, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
        wanted = asked.wanted
        if wanted is None or taps.depth:
            return original(optimizer, optimizer_variables, grads, trainable_variables)
        taps.depth += 1
        try:
            result = original(optimizer, optimizer_variables, grads, trainable_variables)
            measure(wanted, optimizer, optimizer_variables, grads, trainable_variables, result[0])
        finally:
            taps.depth -= 1
        return result

    return stateless_apply


def _around_reduce(original: Callable[..., Any]) -> Callable[..., Any]:
    measure = guarded("measuring gradients")(_measure_reduced)

    def _all_reduce_sum_gradients(optimizer: Any, grads_and_vars: Any) -> Any:
        reduced = original(optimizer, grads_and_vars)
        if asked.wanted is not None and taps.variables is not None:
            measure(asked.wanted, reduced)
        return reduced

    return _all_reduce_sum_gradients


Seen = tuple[Sample, list[tuple[str, Any]], list[tuple[str, Any]]]


def _before(wanted: Wanted, optimizer: Any, grads: list[Any], variables: list[Any]) -> Seen:
    """Measure gradients, and keep what will be wanted of parameters."""
    sample = _sample_of(optimizer)
    kept = [(gradient, variable) for gradient, variable in zip(grads, variables, strict=True) if gradient is not None]
    if _replicas() > 1:
        taps.variables = [variable for _, variable in kept]
    else:
        _measure_gradients(sample, wanted, optimizer, kept)
    named = [(name_of(variable), variable) for _, variable in kept]
    old = [(name, even_sample(variable.value)) for name, variable in named] if wanted.updates else []
    return sample, named, old


def _after(wanted: Wanted, seen: Seen | None) -> None:
    if seen is None:
        return
    sample, named, old = seen
    if wanted.parameters:
        sample.add_parameters(wanted, [(name, ops.convert_to_tensor(variable)) for name, variable in named])
    if wanted.updates:
        sample.add_updates(old, [even_sample(variable.value) for _, variable in named])


def _measure_stateless(
    wanted: Wanted, optimizer: Any, optimizer_variables: Any, grads: Any, before: Any, after: Any
) -> None:
    variables = inner(optimizer)._trainable_variables  # noqa: SLF001 - as `stateless_apply` does
    mapping = [*zip(variables, before, strict=True), *zip(optimizer.variables, optimizer_variables, strict=True)]
    kept = [(gradient, variable) for gradient, variable in zip(grads, variables, strict=True) if gradient is not None]
    sample = _sample_of(optimizer)
    with keras.StatelessScope(state_mapping=mapping):
        _measure_gradients(sample, wanted, optimizer, kept)
    named = [name_of(variable) for variable in variables]
    if wanted.parameters:
        sample.add_parameters(wanted, list(zip(named, after, strict=True)))
    if wanted.updates:
        old = [(name, even_sample(value)) for name, value in zip(named, before, strict=True)]
        sample.add_updates(old, [even_sample(value) for value in after])


def _measure_reduced(wanted: Wanted, reduced: list[tuple[Any, Any]]) -> None:
    if not taps.samples or taps.variables is None:
        return
    gradients = [gradient for gradient, _ in reduced if gradient is not None]
    named = [(name_of(variable), gradient) for variable, gradient in zip(taps.variables, gradients, strict=True)]
    taps.samples[-1][1].add_gradients(wanted, named)


def _sample_of(optimizer: Any) -> Sample:
    """A new one, in the place of that of the same optimizer's step before."""
    own, sample = inner(optimizer), Sample(place())
    taps.samples = [*((one, before) for one, before in taps.samples if one is not own), (own, sample)]
    return sample


def _measure_gradients(sample: Sample, wanted: Wanted, optimizer: Any, kept: list[tuple[Any, Any]]) -> None:
    """Gradients as the optimizer will use them: unscaled, accumulated, clipped."""
    own = inner(optimizer)
    gradients = [gradient for gradient, _ in kept]
    scales = [getattr(optimizer, "dynamic_scale", None), getattr(own, "loss_scale_factor", None)]
    for scale in scales:
        if scale is not None:
            gradients = [gradient / ops.cast(scale, gradient.dtype) for gradient in gradients]
    steps = getattr(own, "gradient_accumulation_steps", None)
    if steps:
        held = own._accumulated_gradients  # noqa: SLF001 - as the optimizer does
        places = [own._get_variable_index(variable) for _, variable in kept]  # noqa: SLF001
        gradients = [(g + held[place]) / steps for g, place in zip(gradients, places, strict=True)]
    clipped = own._clip_gradients(gradients)  # noqa: SLF001 - as the optimizer does
    if clipped is not gradients:
        sample.add_unclipped(gradients)
    sample.add_gradients(wanted, [(name_of(variable), g) for (_, variable), g in zip(kept, clipped, strict=True)])


def _replicas() -> int:
    """How many replicas of this process and others TensorFlow adds gradients of, in the code that is traced now."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def name_of(variable: Any) -> str:
    """A variable's path in its model."""
    return str(getattr(variable, "path", None) or variable.name)
