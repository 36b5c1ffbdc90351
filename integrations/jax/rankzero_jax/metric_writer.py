"""A metric writer with the methods that programs built on CLU's `metric_writers` call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from rankzero import Image, Text
from rankzero.plugin import Histogram, guarded, warn_once
from rankzero_jax.arriving import Held
from rankzero_jax.runs import active_or_new

_ONE_IMAGE = 3  # axes


class MetricWriter:
    """Writes to the current run, under the program's own names. It can stand beside others in a `MultiWriter`."""

    @guarded("writing scalars")
    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Numbers, or arrays of one element; those still being computed are not waited for."""
        self._log(step, dict(scalars))

    def write_summaries(self, step: int, values: Mapping[str, Any], metadata: Any = None) -> None:
        """Values as they are; what they were meant for (`metadata`) is not looked at."""
        self.write_scalars(step, values)

    @guarded("writing images")
    def write_images(self, step: int, images: Mapping[str, Any]) -> None:
        """Images, (height, width, channels), or batches of them with their number ahead."""
        self._log(step, {name: [Image(image) for image in _batch(given)] for name, given in images.items()})

    @guarded("writing histograms")
    def write_histograms(
        self, step: int, arrays: Mapping[str, Any], num_buckets: Mapping[str, int] | None = None
    ) -> None:
        """Distributions of arrays' values."""
        bins = num_buckets or {}
        self._log(step, {name: Histogram(array, num_bins=bins.get(name, 64)) for name, array in arrays.items()})

    @guarded("writing texts")
    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Texts."""
        self._log(step, {name: Text(text) for name, text in texts.items()})

    @guarded("writing hyperparameters")
    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Hyperparameters, into the run's config."""
        run = active_or_new()
        if run is not None:
            run.config.update(dict(hparams))

    def write_audios(self, step: int, audios: Mapping[str, Any], *, sample_rate: int) -> None:
        """Not recorded, and said so."""
        _say("audio")

    def write_videos(self, step: int, videos: Mapping[str, Any]) -> None:
        """Not recorded, and said so."""
        _say("video")

    def write_pointcloud(self, step: int, point_clouds: Mapping[str, Any], **options: Any) -> None:
        """Not recorded, and said so."""
        _say("point clouds")

    def flush(self) -> None:
        """Write what was given so far to the journal."""
        run = active_or_new()
        if run is not None:
            run.flush()

    def close(self) -> None:
        """Flush; the run goes on."""
        self.flush()

    def _log(self, step: int, values: dict[str, Any]) -> None:
        run = active_or_new()
        if run is not None:
            kept = {
                name: Held(name, value) if isinstance(value, jax.Array) else value for name, value in values.items()
            }
            run.log(kept, step=int(step))


def _batch(given: Any) -> Any:
    images = np.asarray(given)
    return images[None] if images.ndim == _ONE_IMAGE else images


def _say(what: str) -> None:
    warn_once(f"metric writer {what}", f"the metric writer does not record {what}")
