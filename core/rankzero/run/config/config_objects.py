"""What a config object says of itself, for each library that people configure with; none of them is imported for it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rankzero.errors import warn_once

Entries = Iterable[tuple[Any, Any]]

FILES = (".yaml", ".yml", ".json")
LARGEST_FILE = 16 * 1024 * 1024
_LONGEST_PATH = 4096
_MOST_BYTES = 1000


def read(get: Callable[..., Any], *arguments: Any) -> Any:
    """What `get` returns, or a readable mark instead of whatever it raises: a config's own code may raise anything."""
    try:
        return get(*arguments)
    except Exception as error:  # noqa: BLE001 - not swallowed: the mark stands where the value would
        name = type(error).__name__
        return "???" if name == "MissingMandatoryValue" else f"<unreadable: {name}>"


def entries(value: Any) -> Entries | None:
    """Names and values of a config object, or None if `value` is not of a kind that is made for it."""
    reader = _by_class(value, _READERS)
    return reader(value) if reader is not None else _by_protocol(value)


def as_text(value: Any) -> str | None:
    """The text that stands for a value that is neither a number nor made of parts; None for those that are."""
    writer = _by_class(value, _TEXTS)
    return None if writer is None else str(writer(value))


def attributes(value: Any) -> Entries:
    """The public data of any object or class: what its classes define, then its own."""
    found: dict[str, Any] = {}
    classes = value.__mro__ if isinstance(value, type) else type(value).__mro__
    for base in reversed(classes[:-1]):
        found.update({name: item for name, item in vars(base).items() if _is_data(item)})
        found.update({name: read(getattr, value, name) for name in _slots(base) if not isinstance(value, type)})
    if not isinstance(value, type):
        found.update(getattr(value, "__dict__", {}))
    return ((name, item) for name, item in found.items() if isinstance(name, str) and not name.startswith("_"))


def from_file(given: str | os.PathLike[str]) -> Any:
    """What the YAML or JSON file of that path holds; `given` itself, as a text, if it is not such a file."""
    text = os.fspath(given)
    if not isinstance(text, str) or len(text) > _LONGEST_PATH or not text.lower().endswith(FILES):
        return text
    path = Path(text)
    if read(path.is_file) is not True:
        warn_once(
            f"config {text}",
            f"config {text!r} is no file here; the text itself was kept. Give an existing file or a dict",
        )
        return text
    content = read(_load, path)
    if isinstance(content, str) and content.startswith("<unreadable"):
        why = "pyyaml is not installed: pip install pyyaml" if "ModuleNotFound" in content else content.strip("<>")
        warn_once(f"config {text}", f"config file {text!r} was not read ({why}); only its path was kept")
    return content if isinstance(content, dict) else {"config_file": text, "config": content}


def _load(path: Path) -> Any:
    if path.stat().st_size > LARGEST_FILE:
        return f"<truncated: {path.stat().st_size} bytes>"
    text = path.read_text(encoding="utf-8", errors="backslashreplace")
    if path.suffix.lower() == ".json":
        import json

        return json.loads(text)
    import yaml

    return yaml.safe_load(text)


def _by_class(value: Any, table: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any] | None:
    """The row of a table keyed by qualified class names that is for the class of `value` or the nearest above it."""
    for base in type(value).__mro__:
        found = table.get(f"{base.__module__}.{base.__qualname__}")
        if found is not None:
            return found
    return None


def _by_protocol(value: Any) -> Entries | None:
    kind: Any = type(value)
    if callable(getattr(kind, "to_dict", None)) and not hasattr(kind, "shape"):
        given = read(value.to_dict)
        if isinstance(given, dict):
            return given.items()
    names: Iterable[str] | None = None
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif hasattr(kind, "__attrs_attrs__"):
        names = [field.name for field in kind.__attrs_attrs__]
    elif hasattr(kind, "__struct_fields__"):
        names = kind.__struct_fields__
    elif issubclass(kind, tuple):
        names = getattr(kind, "_fields", None)
    return None if names is None else ((name, read(getattr, value, name)) for name in names)


def _is_data(item: Any) -> bool:
    return not callable(item) and not hasattr(type(item), "__get__")


def _slots(base: type) -> tuple[str, ...]:
    slots = vars(base).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _variables(value: Any) -> Entries:
    found: dict[str, Any] = vars(value)
    return found.items()


def _pydantic(value: Any) -> Entries:
    fields = {name: item for name, item in vars(value).items() if not name.startswith("__")}
    return {**fields, **(getattr(value, "__pydantic_extra__", None) or {})}.items()


def _absl(value: Any) -> Entries:
    found: dict[str, Any] = {}
    for module, flags in value.flags_by_module_dict().items():
        if not module.startswith("absl."):
            found.update({flag.name: flag.value for flag in flags})
    return found.items()


def _enum(value: Any) -> str:
    return value.value if isinstance(value.value, str) else str(value.name or value)


def _bytes(value: Any) -> str:
    return f"<bytes: {bytes(value[:_MOST_BYTES])!r}>" if len(value) <= _MOST_BYTES else f"<bytes: {len(value)} of them>"


def _qualified(value: Any) -> str:
    kind = "class" if isinstance(value, type) else "function"
    return f"<{kind} {value.__module__ or type(value.__self__).__qualname__}.{value.__qualname__}>".replace(
        " builtins.", " "
    )


_READERS: dict[str, Callable[[Any], Entries]] = {
    "argparse.Namespace": _variables,
    "types.SimpleNamespace": _variables,
    "pydantic.main.BaseModel": _pydantic,
    "pydantic.v1.main.BaseModel": _pydantic,
    "absl.flags._flagvalues.FlagValues": _absl,
}

_TEXTS: dict[str, Callable[[Any], str]] = {
    "enum.Enum": _enum,
    "builtins.str": str.__str__,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "builtins.memoryview": _bytes,
    "builtins.type": _qualified,
    "builtins.function": _qualified,
    "builtins.method": _qualified,
    "builtins.builtin_function_or_method": _qualified,
    "builtins.module": lambda value: f"<module {value.__name__}>",
    "builtins.complex": str,
    "builtins.range": repr,
    "builtins.slice": repr,
    "datetime.date": str,
    "datetime.time": str,
    "datetime.timedelta": str,
    "pathlib.PurePath": str,
    "re.Pattern": lambda value: value.pattern,
    "uuid.UUID": str,
    "numpy.dtype": str,
    "tensorflow.python.framework.dtypes.DType": lambda value: value.name,
    "torch.device": str,
    "torch.dtype": str,
    "torch.layout": str,
    "torch.memory_format": str,
}
