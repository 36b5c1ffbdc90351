"""What runs inside every Python process below `rankzero run`, from its start.

It waits for imports: of a framework, whose integration is then activated, and of the libraries that parse command lines, whose
results are remembered until a run wants them. A process that imports none of them pays for this module alone, so it stands on
what Python itself has loaded at that point, and it is loaded ahead of its package: `import rankzero` comes only with a framework.
"""

from __future__ import annotations

import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

PARSERS = {
    "argparse": "of_argparse",
    "absl.flags._flagvalues": "of_absl",
    "click.core": "of_click",
    "typer._click.core": "of_click",
    "hydra.core.hydra_config": "of_hydra",
    "multiprocessing.spawn": "of_multiprocessing",
}
"""Modules that parse command lines (or carry what was parsed into other processes), and who listens to them."""


class Watch:
    """A finder that finds nothing itself: it has a hook called right after the execution of a module it knows by name."""

    def __init__(self, hooks: dict[str, Callable[[ModuleType], None]]) -> None:
        self.hooks = hooks
        self._finding: set[tuple[str, int]] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find, its loader told to call the hook."""
        if name not in self.hooks:
            return None
        search = name, _thread.get_ident()
        if search in self._finding:  # another finder asks all finders in its turn
            return None
        self._finding.add(search)
        try:
            for finder in sys.meta_path:
                if finder is not self and hasattr(finder, "find_spec"):
                    spec = finder.find_spec(name, path, target)
                    if spec is not None:
                        self._listen(name, spec.loader)
                        return spec
        finally:
            self._finding.discard(search)
        return None

    def _listen(self, name: str, loader: Any) -> None:
        """Have the hook called after `loader` executed the module `name`, once; the loader stays the one it was."""
        if isinstance(loader, type) or not hasattr(loader, "exec_module"):
            return
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == name:
                loader.__dict__.pop("exec_module", None)
                self.fire(module)

        loader.exec_module = exec_module

    def fire(self, module: ModuleType) -> None:
        """Call the module's hook, if it has not been called yet; an error in it stays here unless under test."""
        hook = self.hooks.pop(module.__name__, None)
        if hook is not None:
            quietly(hook, module)


def start() -> None:
    """Begin to wait; called once, by the sitecustomize of `rankzero run`."""
    hooks: dict[str, Callable[[ModuleType], None]] = dict.fromkeys(PARSERS, _listen_to_parser)
    hooks["rankzero.plugin"] = _connect
    for entry in os.environ.get("RANKZERO_ACTIVATE", "").split(","):
        framework, _, target = entry.partition("=")
        if target:
            hooks[framework] = _activation(target)
    watch = Watch(hooks)
    sys.meta_path.insert(0, watch)
    for name in [name for name in hooks if name in sys.modules]:
        watch.fire(sys.modules[name])


def quietly(function: Callable[..., None], *args: Any) -> None:
    """Call a function whose errors must not reach the user's program."""
    try:
        function(*args)
    except Exception:
        if os.environ.get("RANKZERO_STRICT", "") not in {"", "0"}:
            raise


def plain(value: Any) -> Any:
    """A value as something that can be sent to another process: numbers, texts, lists and dicts of them."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)


class Parsed:
    """The command lines parsed in this process: what each kind of parser found, until a run takes it."""

    def __init__(self) -> None:
        self.by_source: dict[str, dict[str, Any]] = {}
        self._offer: Callable[..., None] | None = None

    def add(self, source: str, values: dict[str, Any]) -> None:
        """More values from `source`; the later win."""
        if values:
            self._put(source, {**self.by_source.get(source, {}), **values})

    def replace(self, source: str, values: dict[str, Any]) -> None:
        """Other values from `source`: another job begins in this process."""
        self._put(source, values, another=source in self.by_source)

    def _put(self, source: str, values: dict[str, Any], **how: bool) -> None:
        self.by_source[source] = values
        if self._offer is not None:
            self._offer(dict(values), source, **how)

    def give_to(self, offer: Callable[..., None]) -> None:
        """From now on hand everything to `offer(values, source, another=...)`, beginning with what is here."""
        self._offer = offer
        for source, values in self.by_source.items():
            offer(dict(values), source)


parsed = Parsed()


def _listen_to_parser(module: ModuleType) -> None:
    """Load the listener, ahead of its package like this module."""
    from importlib.machinery import SourceFileLoader

    listener = PARSERS[module.__name__]
    name = f"rankzero.launch.arguments.{listener}"
    path = os.path.join(os.path.dirname(__file__), "arguments", f"{listener}.py")  # noqa: PTH118, PTH120 - pathlib is not loaded
    namespace = type(sys)(name)
    namespace.__file__ = path
    SourceFileLoader(name, path).exec_module(namespace)
    namespace.listen(module, parsed)


def _connect(module: ModuleType) -> None:
    """An integration is there: a run may come."""
    from rankzero.launch import activation

    activation.connect(parsed)


def _activation(target: str) -> Callable[[ModuleType], None]:
    def activate(module: ModuleType) -> None:
        from rankzero.launch import activation

        activation.activate(module.__name__, target)

    return activate
