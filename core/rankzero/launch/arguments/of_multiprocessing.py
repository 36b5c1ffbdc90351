"""Carries what was parsed into the processes that `multiprocessing` spawns: they have the parent's sys.argv but parse nothing."""

from __future__ import annotations

import functools

from rankzero.launch.inside import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rankzero.launch.inside import Parsed

KEY = "rankzero_parsed"


def listen(spawn: Any, parsed: Parsed) -> None:
    """Send along with the data that `spawn` sends to a new process anyway; unknown keys of it are ignored there."""
    describe, prepare = spawn.get_preparation_data, spawn.prepare

    @functools.wraps(describe)
    def get_preparation_data(name: str) -> Any:
        data = describe(name)
        if parsed.by_source:
            data[KEY] = plain(parsed.by_source)
        return data

    @functools.wraps(prepare)
    def prepare_and_take(data: dict[str, Any]) -> Any:
        for source, values in data.get(KEY, {}).items():
            parsed.add(source, values)
        return prepare(data)

    spawn.get_preparation_data = get_preparation_data
    spawn.prepare = prepare_and_take
