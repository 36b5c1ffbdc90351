"""Where a run lives on disk."""

from rankzero.store.paths import RunFolder, check_name, every_run, journal_name, parse_journal_name

__all__ = ["RunFolder", "check_name", "every_run", "journal_name", "parse_journal_name"]
