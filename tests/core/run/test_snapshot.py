"""What the training's thread does with a logged value: never wait, never keep more than it must."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rankzero.run.values import snapshot as module
from rankzero.run.values import transfers
from rankzero.run.values.arrays import Deferred, Unsupported
from rankzero.run.values.classify import classify
from rankzero.run.values.histogram import Histogram
from rankzero.run.values.media import Image
from rankzero.run.values.snapshot import snapshot
from rankzero.run.values.transfers import Held, transfer


class Operations(TorchDispatchMode):
    """Counts the operations of the thread it is entered in, reads of a value included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count, then do it."""
        self.seen[func._schema.name.removeprefix("aten::")] += 1
        return func(*args, **(kwargs or {}))


class FakeDeviceTensor(torch.Tensor):
    """A FAKE: says that it lies on another device, computes on the CPU, and notes which thread asked for what."""

    behind: torch.Tensor
    calls: list[tuple[str, str]]

    @staticmethod
    def __new__(cls: Any, inner: torch.Tensor, device: str, log: list[tuple[str, str]]) -> FakeDeviceTensor:  # noqa: PYI034
        """Wrap a CPU tensor."""
        made: FakeDeviceTensor = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), dtype=inner.dtype, device=torch.device(device), requires_grad=inner.requires_grad
        )
        made.behind, made.calls = inner.detach(), log
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Do it on the CPU; a copy to the CPU leaves the fake device."""
        first = next(arg for arg in args if isinstance(arg, FakeDeviceTensor))
        name = func._schema.name.removeprefix("aten::")
        first.calls.append((threading.current_thread().name, name))
        inner = [arg.behind if isinstance(arg, FakeDeviceTensor) else arg for arg in args]
        kwargs = dict(kwargs or {})
        leaves = str(kwargs.pop("device", "")) == "cpu" or name == "copy_"
        result = func(*inner, **kwargs)
        if leaves or not isinstance(result, torch.Tensor):
            return result
        return FakeDeviceTensor(result, str(first.device), first.calls)


def elsewhere(call: Callable[[], Any]) -> Any:
    """The result of a call in another thread, as the writer's."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()), name="writer")
    thread.start()
    thread.join()
    return results[0]


def test_cpu_tensors_are_cloned_and_never_read() -> None:
    """In the step's thread a CPU tensor is detached and cloned, nothing else; its later change is not seen."""
    loss = torch.tensor(0.5, requires_grad=True) * 2
    grads = torch.arange(4.0)
    with Operations() as operations:
        kept, several = snapshot(loss), snapshot(grads)
    loss.detach().mul_(100)
    grads.zero_()
    assert set(operations.seen) <= {"detach", "clone"}
    assert classify(kept) == 1.0
    assert not kept.requires_grad
    histogram = classify(several)
    assert isinstance(histogram, Histogram)
    assert sum(histogram.encode().counts) == 4
    assert histogram.encode().edges[-1] == 3.0


def test_the_graph_is_freed() -> None:
    """What is kept of a loss keeps none of the graph that made it."""

    class Marker:
        """Stands for a saved activation."""

    class Marked(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
            """Save a marker."""
            ctx.marker = Marker()
            refs.append(weakref.ref(ctx.marker))
            return value * 2

        @staticmethod
        def backward(_ctx: Any, *grads: Any) -> Any:
            """Pass through."""
            return grads[0] * 2

    refs: list[weakref.ref[Marker]] = []
    loss = Marked.apply(torch.tensor(1.0, requires_grad=True))  # type: ignore[no-untyped-call]
    kept = snapshot({"loss": loss, "list": [loss, 1]})
    assert refs[0]() is not None
    del loss
    gc.collect()
    assert refs[0]() is None
    assert classify(kept["loss"]) == 2.0


def test_unknown_accelerator_is_cloned_there_and_read_by_the_writer() -> None:
    """On a device of a type we do not know the step's thread clones; the copy to the host happens in the other thread."""
    log: list[tuple[str, str]] = []
    value = FakeDeviceTensor(torch.tensor(3.0, requires_grad=True), "xpu", log)
    kept = snapshot(value)
    assert isinstance(kept, Held)
    assert kept.ready()
    assert {name for _, name in log} <= {"detach", "clone"}
    value.behind.zero_()
    log.clear()
    assert elsewhere(lambda: classify(kept.value())) == 3.0
    assert {thread for thread, _ in log} == {"writer"}


class FakeCuda:
    """A FAKE of torch.cuda: one stream beside the current one, whose copies are done when the test says so."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.done = False

    def Stream(self, device: Any) -> Any:  # noqa: N802 - torch's name
        """A side stream."""
        return SimpleNamespace(wait_stream=lambda other: self.calls.append(f"side waits for {other}"))

    def current_stream(self, device: Any) -> str:
        """The training's stream."""
        return "current"

    @contextlib.contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        """What follows runs on the side stream."""
        self.calls.append("enter side")
        yield
        self.calls.append("leave side")

    def Event(self) -> Any:  # noqa: N802 - torch's name
        """An event that has happened when `done` is set."""
        return SimpleNamespace(
            record=lambda _: self.calls.append("record"),
            query=lambda: self.done,
            synchronize=lambda: self.calls.append("synchronize"),
        )


def test_cuda_protocol_with_a_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA tensor: cloned, copied by a side stream that waits for the clone, freed on the device, read when the event says so."""
    monkeypatch.setattr(transfers, "_lanes", {})
    log: list[tuple[str, str]] = []
    clones: list[weakref.ref[torch.Tensor]] = []
    cuda = FakeCuda()

    def empty(shape: Any, *, pin_memory: bool, **kwargs: Any) -> torch.Tensor:
        assert pin_memory
        return torch.empty(shape, **kwargs)

    def record_stream(self: torch.Tensor, stream: Any) -> None:
        clones.append(weakref.ref(self))
        cuda.calls.append("clone belongs to side")

    monkeypatch.setattr(FakeDeviceTensor, "record_stream", record_stream)
    value = FakeDeviceTensor(torch.tensor([1.0, 2.0]), "cuda:0", log)
    begun = transfer(value, SimpleNamespace(cuda=cuda, empty=empty))
    value.behind.zero_()
    assert cuda.calls == ["side waits for current", "enter side", "clone belongs to side", "record", "leave side"]
    assert [name for _, name in log] == ["clone", "copy_"]
    assert clones[0]() is None
    assert not begun.ready()
    cuda.done = True
    assert begun.ready()
    assert begun.value().tolist() == [1.0, 2.0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_is_never_waited_for() -> None:
    """On a real GPU, with a long kernel running, a snapshot returns at once, sees the value of its moment, and frees its memory."""
    device = torch.device("cuda")
    values = torch.ones(1000, device=device)
    snapshot(values).value()
    torch.cuda.synchronize()
    allocated = torch.cuda.memory_allocated()
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.cuda._sleep(2_000_000_000)
        kept = [snapshot((values * index).sum()) for index in range(100)]
        values.zero_()
        waiting = not any(value.ready() for value in kept)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert waiting
    assert [classify(value.value()) for value in kept] == [1000.0 * index for index in range(100)]
    torch.cuda.synchronize()
    torch.ones(1, device=device)
    assert torch.cuda.memory_allocated() - allocated < 10_000


def test_jax_arrays_are_copied_in_the_background() -> None:
    """A jax array is held with its copy to the host begun; a traced or donated one says what to do."""
    kept = snapshot(jnp.arange(3.0))
    assert isinstance(kept, Deferred)
    assert elsewhere(lambda: kept.value().tolist()) == [0.0, 1.0, 2.0]
    assert kept.ready()
    one = snapshot(jnp.float32(0.5))
    assert classify(one.value()) == 0.5
    seen: list[Any] = []

    @jax.jit
    def traced(value: Any) -> Any:
        seen.append(snapshot(value))
        return value

    traced(jnp.float32(1.0))
    assert isinstance(seen[0], Unsupported)
    donated = jnp.ones(3) + 1
    held = snapshot(donated)
    jax.jit(lambda value: value + 1, donate_argnums=0)(donated)
    assert "donated" in held.value().reason
    assert held.ready()
    assert "donated" in snapshot(donated).reason


def test_numpy_lists_and_dicts_are_copied() -> None:
    """Arrays, lists and dicts changed after the call keep the values they had; immutable values are passed as they are."""
    array, numbers, nested = np.array([1.0, 2.0]), [1, 2], {"a": np.array([3.0]), "b": {"c": [4]}}
    kept = snapshot({"array": array, "numbers": numbers, "nested": nested})
    array[:] = 0
    numbers.clear()
    nested["a"][:] = 0  # type: ignore[index]
    assert kept["array"].tolist() == [1.0, 2.0]
    assert kept["numbers"] == (1, 2)
    assert kept["nested"]["a"].tolist() == [3.0]
    assert kept["nested"]["b"]["c"] == (4,)
    for value in ["text", np.float32(1.0), None, object()]:
        assert snapshot(value) is value


def test_lists_of_tensors_wait_for_all() -> None:
    """A list with values on a device is there when all of them are."""
    log: list[tuple[str, str]] = []
    kept = snapshot([FakeDeviceTensor(torch.tensor(float(index)), "xpu", log) for index in range(3)] + [3])
    assert isinstance(kept, Deferred)
    assert kept.ready()
    histogram = classify(kept.value())
    assert isinstance(histogram, Histogram)
    assert sum(histogram.encode().counts) == 4


def test_media_of_device_tensors_are_read_by_the_writer() -> None:
    """An image and a histogram made from device tensors wait for them like any other value."""
    log: list[tuple[str, str]] = []
    image = Image(FakeDeviceTensor(torch.full((2, 2), 7), "xpu", log))
    histogram = Histogram(FakeDeviceTensor(torch.tensor([1.0, 2.0]), "xpu", log))
    assert image.ready()
    assert histogram.ready()
    assert {name for _, name in log} <= {"detach", "clone"}
    log.clear()
    assert elsewhere(lambda: image.encode().info)["width"] == 2
    assert elsewhere(lambda: histogram.encode().edges[-1]) == 2.0
    assert {thread for thread, _ in log} == {"writer"}


@pytest.mark.parametrize("make", [np.arange, torch.arange])
def test_large_arrays_are_sampled_and_say_so(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare array too large to copy whole becomes the histogram of a strided sample, which says so."""
    monkeypatch.setattr(module, "MOST_ELEMENTS", 1000)
    assert not isinstance(snapshot(make(1000)), Histogram)
    values = make(10_000).reshape(100, 100)
    kept = snapshot(values)
    values[:] = 0
    assert isinstance(kept, Histogram)
    assert kept.sampled
    assert sum(kept.encode().counts) == 1000
    assert kept.encode().edges[-1] == 9990


def test_what_has_no_value_says_what_to_do() -> None:
    """A tensor without storage is no number and no error."""
    assert "meta" in snapshot(torch.zeros(3, device="meta")).reason


def test_distributed_tensors_need_no_collective() -> None:
    """A replicated DTensor is its own part; one that is spread over ranks is refused, since reading it would be a collective."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Replicate, Shard
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        mesh = init_device_mesh("cpu", (2,))
        whole = snapshot(DTensor.from_local(torch.tensor(2.0, requires_grad=True), mesh, [Replicate()]))
        part = snapshot(DTensor.from_local(torch.ones(3), mesh, [Shard(0)]))
    finally:
        dist.destroy_process_group()
    assert type(whole) is torch.Tensor
    assert not whole.requires_grad
    assert classify(whole) == 2.0
    assert "full_tensor" in part.reason


def test_pictures_are_taken_at_once() -> None:
    """A figure cleared and an image painted over after the call are kept as they were."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure
    from PIL import Image as Pil

    figure = Figure(figsize=(1, 1), dpi=50)
    figure.add_subplot().plot([1, 2])
    drawn = snapshot(figure)
    before = drawn.encode().data
    figure.clear()
    assert drawn.encode().data == before
    assert snapshot(figure).encode().data != before
    picture = Pil.new("RGB", (4, 4), (1, 2, 3))
    kept = snapshot(picture)
    picture.paste((9, 9, 9), (0, 0, 4, 4))
    assert isinstance(kept, Image)
    assert kept.encode().info == {"width": 4, "height": 4, "mode": "RGB"}
    assert kept.encode().data != snapshot(picture).encode().data


def test_no_framework_is_imported() -> None:
    """Snapshots of plain data load no array library."""
    import subprocess

    code = (
        "import sys\n"
        "from rankzero.run.values.snapshot import snapshot\n"
        "from rankzero.run.values.classify import classify\n"
        "classify(snapshot([1, 2, 3])).encode(); classify(snapshot({'a': object()}))\n"
        "print(sorted({'numpy', 'torch', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
