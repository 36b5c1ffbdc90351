"""What Python runs by itself when it starts below `rankzero run`: this folder is on PYTHONPATH.

Any interpreter may come by, with or without rankzero, down to Python 2: syntax and imports are those that all of them have.
It does three things: where rankzero is installed, it starts `rankzero.launch.inside`; it takes itself out of this process;
it lets Python find the `sitecustomize` that it would have found without us, or none.
"""

import os
import sys


def _start():
    # type: () -> None
    """Load `rankzero.launch.inside` ahead of its package, so that a process that trains nothing loads nothing else."""
    name = "rankzero.launch.inside"
    if sys.version_info < (3, 11) or not os.environ.get("RANKZERO_LAUNCH") or name in sys.modules:
        return
    for finder in sys.meta_path:
        found = finder.find_spec("rankzero", None)
        if found is not None:
            break
    else:
        return
    from importlib.machinery import ModuleSpec, SourceFileLoader

    path = os.path.join(list(found.submodule_search_locations or [""])[0], "launch", "inside.py")
    spec = ModuleSpec(name, SourceFileLoader(name, path), origin=path)
    spec.has_location = True
    module = type(sys)(name)
    module.__spec__ = spec
    module.__file__ = path
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException:
        del sys.modules[name]
        raise
    module.start()


def _step_aside():
    # type: () -> None
    """Leave the module search as it would be without this folder."""
    here = os.path.dirname(__file__)
    sys.path[:] = [place for place in sys.path if place != here]
    sys.path_importer_cache.pop(here, None)


try:
    _start()
except Exception:
    if os.environ.get("RANKZERO_STRICT", "") not in ("", "0"):
        raise
finally:
    _step_aside()
_this = sys.modules.pop(__name__)  # kept alive: Python 2 empties a module that nobody holds
__import__(__name__)  # the other one; where there is none, that is reported as it would be without us
