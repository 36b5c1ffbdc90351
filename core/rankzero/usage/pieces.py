"""Pieces of time and their algebra: `(start, end, label)` in seconds, in lists sorted and free of overlap."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

L = TypeVar("L")
Piece = tuple[float, float, L]
Span = Piece[str]
"""A piece whose label is a phase, or empty where only the time matters."""

_start = itemgetter(0)


def union(spans: Iterable[Span]) -> list[Span]:
    """All time covered by the given spans, which may overlap; without labels."""
    merged: list[Span] = []
    for start, end, _ in sorted(spans):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end, "")
        elif end > start:
            merged.append((start, end, ""))
    return merged


def within(pieces: Sequence[Piece[L]], windows: Iterable[Piece[Any]]) -> list[Piece[L]]:
    """The parts of `pieces` that lie inside `windows`, labelled as they were."""
    kept: list[Piece[L]] = []
    for low, high, _ in windows:
        for index in range(max(bisect_left(pieces, low, key=_start) - 1, 0), len(pieces)):
            start, end, label = pieces[index]
            if start >= high:
                break
            if end > low:
                kept.append((max(start, low), min(end, high), label))
    return kept


def outside(pieces: Sequence[Piece[L]], holes: Sequence[Piece[Any]]) -> list[Piece[L]]:
    """The parts of `pieces` that lie outside `holes`."""
    edges = [-math.inf, *(edge for start, end, _ in holes for edge in (start, end)), math.inf]
    return within(pieces, [(low, high, "") for low, high in zip(edges[::2], edges[1::2], strict=True) if high > low])


def shifted(pieces: Iterable[Piece[L]], by: float) -> list[Piece[L]]:
    """The pieces, `by` seconds later."""
    return [(start + by, end + by, label) for start, end, label in pieces]


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same spans in order, neighbours of one label made one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and merged[-1][2] == span[2] and merged[-1][1] == span[0]:
            merged[-1] = (merged[-1][0], span[1], span[2])
        else:
            merged.append(span)
    return merged


def length(pieces: Iterable[Piece[Any]]) -> float:
    """Seconds in all pieces together."""
    return math.fsum(end - start for start, end, _ in pieces)
