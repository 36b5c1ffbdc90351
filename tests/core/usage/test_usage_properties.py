"""What holds for every ledger, however odd: sums, unions, days, clocks and order."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankzero.usage import Attempt, Usage, Writer, timeline, total, usage

DAY = 86400.0
EPOCH = 1_764_547_200.0

_few = settings(max_examples=80)
_pause = st.sampled_from([0.0001, 0.3, 1.0, 1.0, 1.0, 2.5, 9.9, 30.0, 4000.0])
_walls = st.floats(EPOCH, EPOCH + 3 * DAY)


@st.composite
def _writers(draw: st.DrawFn, rank: int, boot: str, clock: float) -> Writer:
    """A process with beats, steps, phases, waits and an end at odd moments, stops and compilations in between."""
    pauses = draw(st.lists(st.tuples(_pause, st.sampled_from([0.0, 0.01, 1.0, 8.0])), min_size=1, max_size=25))
    times = list(accumulate(pause for pause, _ in pauses))
    cpu = list(accumulate(pause * pace for pause, pace in pauses))
    moment = st.floats(0.0, times[-1])
    steps = st.lists(st.tuples(moment, st.integers(0, 30)), max_size=12)
    named = st.dictionaries(moment, st.sampled_from(["evaluation", "checkpoint", "step", ""]), max_size=4)
    return Writer(
        rank=rank,
        name=f"r{rank}",
        started=draw(_walls),
        boot=boot,
        clock=clock + draw(st.floats(0.0, 10.0)),
        beats=list(zip(times, cpu, strict=True)),
        lines=draw(st.lists(moment, max_size=5)),
        steps=draw(steps),
        phases=list(draw(named).items()),
        waits=draw(st.lists(st.tuples(moment, st.floats(0.0, 50.0)), max_size=5)),
        compiles=draw(st.lists(st.tuples(moment, st.floats(0.0, 50.0)), max_size=5)),
        ended=draw(st.sampled_from([None, (times[-1], "finished"), (times[-1] + 0.5, "failed")])),
    )


@st.composite
def _ledgers(draw: st.DrawFn, *, one_boot: bool = False) -> list[Attempt]:
    """Up to four attempts of up to three writers, on machines that may be the same, at times that may overlap."""
    attempts = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        clock = draw(st.floats(0.0, 2 * DAY))
        boots = st.just("a") if one_boot else st.sampled_from(["", "a", "b"])
        writers = [draw(_writers(rank, draw(boots), clock)) for rank in range(draw(st.integers(1, 3)))]
        size = draw(st.integers(len(writers), 8))
        attempts.append(
            Attempt(number=number, writers=writers, world_size=size, devices=draw(st.integers(0, 8)), joules=7.0)
        )
    return attempts


def _numbers(found: Usage) -> dict[str, float]:
    """Every number of a usage, those inside a mapping by a dotted name; zeros left out."""
    flat: dict[str, float] = {}
    for name, value in found.to_json().items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{key}": seconds for key, seconds in value.items()})
        elif name != "warnings":
            flat[name] = value
    return flat


def _close(found: Usage, expected: Usage) -> bool:
    return _numbers(found) == pytest.approx(_numbers(expected), rel=1e-9, abs=1e-5)


@_few
@given(_ledgers())
def test_the_phases_sum_to_the_total(attempts: list[Attempt]) -> None:
    """Every second, device-second and process-second lands in exactly one phase, of the run and of each attempt."""
    line = timeline(attempts)
    for found in [line.total(), *line.by_attempt().values(), *line.by_day().values()]:
        assert sum(found.phases.values()) == pytest.approx(found.wall_s, rel=1e-9, abs=1e-9)
        assert sum(found.device_phases.values()) == pytest.approx(found.device_s, rel=1e-9, abs=1e-9)
        assert sum(found.process_phases.values()) == pytest.approx(found.process_s, rel=1e-9, abs=1e-9)
        assert min(found.phases.values()) >= 0.0


@_few
@given(_ledgers())
def test_the_union_is_at_most_the_sum_and_at_least_the_longest(attempts: list[Attempt]) -> None:
    """Wall time counts overlapping attempts once; device and process time count each."""
    line = timeline(attempts)
    found, parts = line.total(), line.by_attempt().values()
    walls = [part.wall_s for part in parts]
    assert max(walls) - 1e-6 <= found.wall_s <= sum(walls) + 1e-6
    assert found.device_s == pytest.approx(sum(part.device_s for part in parts))
    assert found.process_s == pytest.approx(sum(part.process_s for part in parts))
    assert found.per_process_s >= found.process_s


@_few
@given(_ledgers(), st.booleans())
def test_a_duplicate_writer_changes_nothing(attempts: list[Attempt], everywhere: bool) -> None:
    """A second process that claims a rank adds no time to the job and moves no phase, but it is reported."""
    chosen = attempts if everywhere else attempts[:1]
    wrong = [
        replace(attempt, writers=[*attempt.writers, replace(attempt.writers[0], name="r0-1")])
        if attempt in chosen
        else attempt
        for attempt in attempts
    ]
    before, after = usage(attempts), usage(wrong)
    assert after.per_process_s >= before.per_process_s
    assert _close(replace(after, per_process_s=0.0), replace(before, per_process_s=0.0))
    assert sum("processes wrote as rank 0 (r0, r0-1)" in warning for warning in after.warnings) == len(chosen)


@_few
@given(_ledgers())
def test_the_days_sum_to_the_total(attempts: list[Attempt]) -> None:
    """Cutting at midnight loses and doubles nothing, in any number."""
    line = timeline(attempts)
    days = line.by_day()
    assert _close(total(days.values()), line.total())
    assert all(part.wall_s <= DAY + 1e-6 for part in days.values())
    assert list(days) == sorted(days)


@_few
@given(_ledgers(one_boot=True), st.lists(_walls, min_size=12, max_size=12))
def test_clock_jumps_change_no_duration(attempts: list[Attempt], walls: list[float]) -> None:
    """On one boot of one machine the wall clock may say anything: every duration stays what it was."""
    clocks = iter(walls)
    moved = [
        replace(attempt, writers=[replace(writer, started=next(clocks)) for writer in attempt.writers])
        for attempt in attempts
    ]
    before, after = timeline(attempts), timeline(moved)
    assert _close(after.total(), before.total())
    for number, found in before.by_attempt().items():
        assert _close(after.by_attempt()[number], found)


@_few
@given(_ledgers(), st.lists(_walls, min_size=12, max_size=12))
def test_no_clock_makes_an_attempt_longer_than_its_longest_machine(attempts: list[Attempt], walls: list[float]) -> None:
    """Across machines the wall clock places, but the length of an attempt comes from monotonic differences alone."""
    clocks = iter(walls)
    for attempt in attempts:
        apart = [replace(writer, boot=writer.name, started=next(clocks)) for writer in attempt.writers]
        longest = max(t for writer in apart for t, _ in writer.beats) + 0.5
        assert usage([replace(attempt, writers=apart)]).wall_s <= longest + 1e-6


@_few
@given(_ledgers(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(attempts: list[Attempt], chance: random.Random) -> None:
    """Attempts, writers and events may come in any order."""

    def mixed(writer: Writer) -> Writer:
        return replace(
            writer,
            beats=chance.sample(writer.beats, len(writer.beats)),
            lines=chance.sample(writer.lines, len(writer.lines)),
            steps=chance.sample(writer.steps, len(writer.steps)),
            phases=chance.sample(writer.phases, len(writer.phases)),
            waits=chance.sample(writer.waits, len(writer.waits)),
        )

    other = [
        replace(
            attempt, writers=[mixed(writer) for writer in chance.sample(list(attempt.writers), len(attempt.writers))]
        )
        for attempt in chance.sample(attempts, len(attempts))
    ]
    found = usage(other)
    assert _close(found, usage(attempts))
    assert found.warnings == usage(attempts).warnings


@_few
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 300)), min_size=1, max_size=6))
def test_the_union_agrees_with_counting_seconds(lives: list[tuple[int, int]]) -> None:
    """The wall time of whole-second attempts is the number of seconds in which any of them was alive."""
    attempts = [
        Attempt(
            number=number, writers=[Writer(started=EPOCH + start, beats=[(float(t), 0.0) for t in range(length + 1)])]
        )
        for number, (start, length) in enumerate(lives)
    ]
    counted = {second for start, length in lives for second in range(start, start + length)}
    assert usage(attempts).wall_s == pytest.approx(len(counted))
