"""What importing costs and says, in fresh processes."""

from __future__ import annotations

import sys

import pytest
from tests.integrations.hf.roots import BIN, REASON, Root

pytest.importorskip("transformers", reason=REASON)
pytest.importorskip("accelerate", reason=REASON)


def test_import_loads_neither_framework(root: Root) -> None:
    """`import rankzero_hf` loads neither transformers nor accelerate nor torch; it waits for them."""
    code = "import sys, rankzero_hf; print(sorted({'torch', 'transformers', 'accelerate', 'numpy'} & set(sys.modules)))"
    assert root.job(sys.executable, "-c", code).strip() == "[]"


def test_import_may_come_first_or_last(root: Root) -> None:
    """The names are known whichever import comes first."""
    for imports in ("import rankzero_hf, accelerate.tracking as t", "import accelerate.tracking as t, rankzero_hf"):
        assert "rankzero" in root.job(sys.executable, "-c", f"{imports}; print(list(t.LOGGER_TYPE_TO_CLASS))")


@pytest.mark.parametrize(
    ("first", "library"),
    [
        ("from rankzero_hf import RankZeroTracker", "from accelerate.tracking import LOGGER_TYPE_TO_CLASS as known"),
        ("import rankzero_hf.tracker", "from accelerate.tracking import LOGGER_TYPE_TO_CLASS as known"),
        (
            "from rankzero_hf import RankZeroCallback",
            "from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK as known",
        ),
    ],
)
def test_our_classes_may_be_imported_first(root: Root, first: str, library: str) -> None:
    """What brings its library along is known to it by name all the same."""
    assert root.job(sys.executable, "-c", f"{first}; {library}; print('rankzero' in known)").strip().endswith("True")


def test_missing_framework_is_one_sentence(root: Root) -> None:
    """Without transformers the callback says what to install."""
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "import rankzero, rankzero_hf\n"
        "try: rankzero_hf.RankZeroCallback\n"
        "except rankzero.RankZeroError as error: print(error)"
    )
    printed = root.job(sys.executable, "-c", code)
    assert "pip install 'rankzero[hf]'" in printed


def test_tokenizers_alone_load_nothing(root: Root) -> None:
    """Below `rankzero run` a program that imports transformers but no Trainer loads nothing of ours for it, and makes no run."""
    code = (
        "import sys, transformers\n"  # which may load torch by itself
        "print('rankzero_pytorch' in sys.modules and 'torch' not in sys.modules, 'rankzero_hf.recording' in sys.modules)"
    )
    assert "False False" in root.job(BIN / "rankzero", "run", sys.executable, "-c", code)
    assert not list(root.path.glob("*/*/journal/*"))
