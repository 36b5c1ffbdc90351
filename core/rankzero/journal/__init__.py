"""The write path: one append-only file per writer, and its reader."""

from rankzero.journal.writer import Journal

__all__ = ["Journal"]
