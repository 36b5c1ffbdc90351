"""Finding runs under a root: all of them, or the one that a user names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from rankzero.errors import UnknownKeyError, UnknownRunError
from rankzero.query.runs import RunView
from rankzero.query.strictjson import iso
from rankzero.records import Meta, Start, decode_line
from rankzero.store import RunFolder, every_run

LATEST = "latest"
"""Names the run whose last attempt was started last."""

_HEAD = 1 << 14


def open_run(folder: RunFolder) -> RunView:
    """The run in a folder.

    Raises:
        UnknownRunError: nothing was written there.
    """
    view = RunView(folder)
    if not view.writers:
        raise UnknownRunError(f"nothing was recorded in {folder.path}")
    return view


def all_runs(root: Path, project: str | None = None, *, whole: bool = False) -> list[RunView]:
    """All runs under a root, or one project's, the one created last first; `whole`: their metrics will be needed."""
    views = [RunView(folder) for folder in every_run(root, project)]
    if whole:
        views = [view.load() for view in views]
    return sorted((view for view in views if view.writers), key=lambda view: (-view.created, view.project, view.id))


def find_run(root: Path, text: str) -> RunView:
    """The run that `text` names: an id, a name, `project/id`, `project/name`, `latest`, or the beginning of an id.

    Raises:
        UnknownRunError: there is no such run, or several; the sentence names the nearest or all of them.
    """
    project, _, wanted = text.rpartition("/")
    folders = [folder for folder in every_run(root, project or None) if folder.journals()]
    if not folders:
        where = f"in project {project!r} under {root}" if project else f"under {root}"
        raise UnknownRunError(f"there are no runs {where}; name the folder with --dir or RANKZERO_DIR")
    if wanted == LATEST:
        return open_run(max(folders, key=_last_start))
    for matching in (_with_id, _with_name, _with_prefix):
        found = matching(folders, wanted)
        if len(found) > 1:
            raise UnknownRunError(_ambiguous(text, found))
        if found:
            return open_run(found[0])
    raise UnknownRunError(_unknown(text, folders))


def find_launch(root: Path, token: str) -> list[RunView]:
    """The runs that the processes of one `rankzero run` made, the first created first; `token` as in RANKZERO_LAUNCH."""
    found = [folder for folder in every_run(root) if any(start.launch == token for start in _starts(folder))]
    return sorted((RunView(folder) for folder in found), key=lambda view: view.created)


def find_key(view: RunView, key: str) -> str:
    """`key` if the run has such a metric.

    Raises:
        UnknownKeyError: it has none; the sentence names the nearest.
    """
    known = [*view.keys, *view.media]
    if key in known:
        return key
    near = nearest(key, known)
    hint = f"did you mean {near!r}?" if near else _few("it has", known) if known else "it has no metrics"
    raise UnknownKeyError(f"run {view.name!r} has no metric {key!r}; {hint}")


def nearest(text: str, known: Sequence[str]) -> str | None:
    """The known word most like `text`, None if none is at all like it."""
    return next(iter(difflib.get_close_matches(text, known, 1, 0.5)), None)


def _with_id(folders: Sequence[RunFolder], text: str) -> list[RunFolder]:
    return [folder for folder in folders if folder.run == text]


def _with_name(folders: Sequence[RunFolder], text: str) -> list[RunFolder]:
    """By the names at the beginning of the journals, checked against later ones; else by all names."""
    likely = [folder for folder in folders if _name(folder) == text]
    return [folder for folder in likely if RunView(folder).name == text] or [
        folder for folder in folders if RunView(folder).name == text
    ]


def _with_prefix(folders: Sequence[RunFolder], text: str) -> list[RunFolder]:
    return [folder for folder in folders if text and folder.run.startswith(text)]


def _name(folder: RunFolder) -> str:
    """A run's name as the beginnings of its journals give it, empty if they do not."""
    name = ""
    for path in folder.journals():
        for line in _head(path):
            record = decode_line(line) if line.startswith(b"{") else None
            if isinstance(record, Meta) and record.name:
                name = record.name
    return name


def _starts(folder: RunFolder) -> list[Start]:
    """The first lines of a run's journals."""
    records = (decode_line(line) for path in folder.journals() for line in _head(path)[:1])
    return [record for record in records if isinstance(record, Start)]


def _last_start(folder: RunFolder) -> float:
    starts = _starts(folder)
    last = max((start.attempt for start in starts), default=0)
    return min((start.wall for start in starts if start.attempt == last), default=0.0)


def _head(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).split(b"\n")
    except OSError:
        return []


def _ambiguous(text: str, folders: Sequence[RunFolder]) -> str:
    views = sorted((RunView(folder) for folder in folders), key=lambda view: -view.created)
    each = [f"{view.project}/{view.id} ({view.name}, {view.state}, {(iso(view.created) or '')[:16]})" for view in views]
    return f"{text!r} names {len(views)} runs; choose one of {_few('', each).strip()}"


def _unknown(text: str, folders: Sequence[RunFolder]) -> str:
    ids = [folder.run for folder in folders]
    known = [*ids, *(name for folder in folders if (name := _name(folder))), LATEST]
    known += [f"{folder.project}/{folder.run}" for folder in folders]
    near = nearest(text, known)
    hint = f"did you mean {near!r}?" if near else f"`rankzero ls` shows the {len(ids)} there are"
    return f"there is no run {text!r}; {hint}"


def _few(words: str, names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{words} {', '.join(names[:limit])}{more}"
