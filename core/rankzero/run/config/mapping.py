"""The run's config and summary as the user sees them: mappings whose changes are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rankzero.run.config.hyperparameters import plain


class Config(Mapping[str, Any]):
    """Hyperparameters of the run: a mapping with attributes; whatever is put in is kept, exactly or readable and marked."""

    def __init__(self, changed: Callable[[dict[str, Any], str, list[str]], None]) -> None:
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_changed", changed)

    def update(
        self, values: Any = None, allow_val_change: bool | None = None, *, source: str = "user", **more: Any
    ) -> None:
        """Merge `values`: a dict, dataclass, pydantic or attrs object, OmegaConf, namespace, absl flags or a YAML file's path."""
        given = plain(values) if values is not None else {}
        given.update(plain(more))
        self._values.update(given)
        if given:
            self._changed(given, source, [])

    def setdefaults(self, values: Any) -> None:
        """Merge those of `values` that are not set yet."""
        self.update({key: value for key, value in plain(values).items() if key not in self._values})

    def as_dict(self) -> dict[str, Any]:
        """A copy of everything set so far."""
        return dict(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._changed({}, "user", [key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(
                f"the config has no {key!r}; it has {', '.join(self._values) or 'nothing yet'}"
            ) from None

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __repr__(self) -> str:
        return f"Config({self._values!r})"


class Summary(Mapping[str, Any]):
    """The run's single values: those set by hand, over the last value of every metric of this process."""

    def __init__(
        self, changed: Callable[[dict[str, Any], list[str]], None], latest: Callable[[], dict[str, Any]]
    ) -> None:
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_changed", changed)
        object.__setattr__(self, "_latest", latest)

    def update(self, values: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Set several values."""
        given = plain({**(values or {}), **more})
        self._values.update(given)
        if given:
            self._changed(given, [])

    def as_dict(self) -> dict[str, Any]:
        """Everything, the values set by hand winning."""
        return {**self._latest(), **self._values}

    def __getitem__(self, key: str) -> Any:
        return self._values[key] if key in self._values else self._latest()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._changed({}, [key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"the summary has no {key!r}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __repr__(self) -> str:
        return f"Summary({self.as_dict()!r})"
