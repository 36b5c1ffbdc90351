"""The names users import."""

from __future__ import annotations

import inspect

import rankzero
import rankzero.plugin

NAMES = """
File Histogram Image RankZeroError Run Settings Text __version__ alert config define_metric finish init log
mark_preempting run save summary unwatch watch
"""

RUN = """
alert capture config define_metric describe dir disabled end event finish flush group id job_type log log_code
mark_preempting name notes phase project rank resumed save settings state step summary tags unwatch url watch
"""

BETWEEN_ROOMS = "adopt become_nobody become_silent feed recorded_before"

PLUGIN = """
Deferred Histogram Integration MissingDependencyError Run after_import changes claim current_run feed guard guarded holding log_aside
offer_config open_run opened_here part plain read_settings recorded_before release replace report require restore started_by_run training_failed training_run warn_once
"""


def test_the_front_door_names_exactly_this() -> None:
    """A name appears or disappears in `rankzero` only on purpose, and each one can be had."""
    assert sorted(rankzero.__all__) == sorted(NAMES.split())
    assert set(NAMES.split()) <= set(dir(rankzero))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as it does in any module."""
    assert not hasattr(rankzero, "logg")


def test_what_an_integration_may_use() -> None:
    """The plugin contract changes only on purpose."""
    assert sorted(rankzero.plugin.__all__) == sorted(PLUGIN.split())


def test_a_run_has_exactly_these_members() -> None:
    """A public member of Run appears or disappears only on purpose."""
    members = {name for name, _ in inspect.getmembers(rankzero.Run) if not name.startswith("_")}
    members |= {"config", "summary", "settings", "state"}
    assert sorted(members) == sorted([*RUN.split(), *BETWEEN_ROOMS.split()])
