"""Compiled programs as texts that can be compared."""

from __future__ import annotations

import re
from typing import Any


def instructions(lowered: Any) -> tuple[str, str]:
    """What was lowered and what the compiler made of it, without the lines of source it came from and outputs' names."""
    compiled = lowered.compile().as_text()
    body = compiled[compiled.index("\n%") if "\n%" in compiled else compiled.index("\nENTRY") :]
    named = re.sub(r" \{jax.result_info = [^}]*\}", "", lowered.as_text())
    return named, re.sub(r",? ?(metadata|frontend_attributes)=\{[^}]*\}", "", body)
