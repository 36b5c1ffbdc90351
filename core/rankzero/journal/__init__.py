"""The write path: one append-only file per writer, and its reader."""

from rankzero.journal.writer import Journal, refused

__all__ = ["Journal", "refused"]
