"""Tables, as the loggers and trackers of frameworks are given them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rankzero import File, RankZeroError


class Table(File):
    """Columns and rows, or a DataFrame; logged as a JSON file, `{"columns": [...], "data": [[...], ...]}`.

    What is in it is what was there when it was made.

    Raises:
        RankZeroError: there are neither rows nor a DataFrame.
    """

    def __init__(
        self, columns: Sequence[str] | None = None, data: Sequence[Sequence[Any]] | None = None, dataframe: Any = None
    ) -> None:
        super().__init__("table.json")
        if dataframe is not None:
            columns, data = [str(name) for name in dataframe.columns], dataframe.to_numpy().tolist()
        if data is None:
            raise RankZeroError("log_table() needs data, a list of rows, or a dataframe")
        rows = [list(row) for row in data]
        self._content = json.dumps({"columns": [str(name) for name in columns or ()], "data": rows}, default=_plain)

    def encode(self) -> Any:
        """The content; see `rankzero.File`."""
        with tempfile.TemporaryDirectory(prefix="rankzero-") as folder:
            self.path = Path(folder, "table.json")
            self.path.write_text(self._content, encoding="utf-8")
            return super().encode()


def _plain(value: Any) -> Any:
    """A number or a list for what an array library holds, a text for anything else."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
