"""Calls of TensorBoard's `SummaryWriter`, forwarded to the run under the user's tags; the event files are written as ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from rankzero import Image, Text
from rankzero.plugin import Histogram, Run, claim, guarded, replace, report

NAME = "pytorch"
PRECEDENCE = 10
MOST_WAITING = 1000
"""Calls kept from before there is a run; of more, the last ones."""


class Writers:
    """What all writers of this process are told."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._waiting: deque[tuple[dict[str, Any], int | None]] = deque(maxlen=MOST_WAITING)
        self._nested = False

    def attach(self, run: Run | None) -> None:
        """Forward to this run from now on, beginning with what was said before there was one."""
        self._run = run
        if run is not None:
            while self._waiting:
                self._log(run, *self._waiting.popleft())

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """What is written inside is recorded by somebody else."""
        before, self._nested = self._nested, True
        try:
            yield
        finally:
            self._nested = before

    def install(self, module: ModuleType) -> None:
        """Listen to the `SummaryWriter` of a module."""
        writer = module.SummaryWriter
        for name, convert in _CONVERTERS.items():
            replace(writer, name, self._around(convert))

    def _around(self, convert: Callable[..., dict[str, Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        forward = guarded("forwarding to TensorBoard's SummaryWriter")(self._forward)

        def around(original: Callable[..., Any]) -> Callable[..., Any]:
            def add(writer: Any, *args: Any, **kwargs: Any) -> Any:
                outermost, self._nested = not self._nested, True
                try:
                    if outermost:
                        forward(convert, args, kwargs)
                    return original(writer, *args, **kwargs)
                finally:
                    self._nested = not outermost

            return add

        return around

    def _forward(self, convert: Callable[..., dict[str, Any]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not claim("SummaryWriter", NAME, PRECEDENCE):
            return
        row = convert(*args, **kwargs)
        step = _step(*args, **kwargs)
        run = self._run
        if run is None:
            self._waiting.append((row, step))
        elif run.state == "running":
            self._log(run, row, step)

    def _log(self, run: Run, row: dict[str, Any], step: int | None) -> None:
        report("SummaryWriter", "recorded", NAME)
        if step is None:
            run.log(row, commit=False)
        else:
            run.log(row, step=step)


def _step(tag: Any, value: Any = None, global_step: Any = None, *_: Any, **__: Any) -> int | None:
    return None if global_step is None else int(global_step)


def _scalar(tag: str, scalar_value: Any, *_: Any, **__: Any) -> dict[str, Any]:
    return {tag: scalar_value}


def _scalars(main_tag: str, tag_scalar_dict: Mapping[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
    return {f"{main_tag}/{tag}": value for tag, value in tag_scalar_dict.items()}


def _histogram(tag: str, values: Any, *_: Any, **__: Any) -> dict[str, Any]:
    return {tag: Histogram(values)}


def _text(tag: str, text_string: str, *_: Any, **__: Any) -> dict[str, Any]:
    return {tag: Text(str(text_string))}


def _image(
    tag: str, img_tensor: Any, global_step: Any = None, walltime: Any = None, dataformats: str = "CHW", **_: Any
) -> dict[str, Any]:
    picture = torch.as_tensor(img_tensor).detach()
    order = [dataformats.upper().index(axis) for axis in "HWC" if axis in dataformats.upper()]
    return {tag: Image(picture.permute(order))}


_CONVERTERS: dict[str, Callable[..., dict[str, Any]]] = {
    "add_scalar": _scalar,
    "add_scalars": _scalars,
    "add_histogram": _histogram,
    "add_text": _text,
    "add_image": _image,
}
