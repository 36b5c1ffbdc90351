"""The config that Hydra composed for the job at hand."""

from __future__ import annotations

import functools

from rankzero.launch.inside import quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rankzero.launch.inside import Parsed


def listen(hydra_config: ModuleType, parsed: Parsed) -> None:
    """Remember the config whenever Hydra sets it: before each job, so that the jobs of a multirun stay apart."""
    set_config = hydra_config.HydraConfig.set_config

    @functools.wraps(set_config)
    def call(self: Any, cfg: Any) -> Any:
        result = set_config(self, cfg)
        quietly(_remember, parsed, cfg)
        return result

    hydra_config.HydraConfig.set_config = call


def _remember(parsed: Parsed, cfg: Any) -> None:
    parsed.replace("hydra", {key: _resolved(cfg, key) for key in cfg if key != "hydra"})


def _resolved(cfg: Any, key: str) -> Any:
    """A part of the config with its interpolations resolved, or as it stands where one cannot be (yet)."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        value = cfg[key]
        return OmegaConf.to_container(value, resolve=True, enum_to_str=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:
        raw = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
        return raw[key] if isinstance(raw, dict) else None
