"""`LightningCLI`: the logger and the callback in a configuration file and on the command line."""

from __future__ import annotations

import pytest
from tests.integrations.lightning.conftest import Command, only

pytest.importorskip("lightning", reason="lightning is not installed: pip install 'rankzero[lightning]'")
pytest.importorskip("jsonargparse", reason="LightningCLI needs jsonargparse: pip install 'jsonargparse[signatures]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CONFIG = """
trainer:
  accelerator: cpu
  devices: 1
  max_epochs: 1
  limit_train_batches: 2
  limit_val_batches: 1
  log_every_n_steps: 1
  enable_progress_bar: false
  logger:
    class_path: rankzero_lightning.of_lightning.RankZeroLogger
    init_args:
      project: from_file
      log_model: false
      tags: [a, b]
  callbacks:
    - class_path: rankzero_lightning.of_lightning.RankZeroCallback
      init_args:
        log: all
        log_freq: 1
"""


def test_configured_by_file_and_command_line(command: Command) -> None:
    """The file's arguments reach the logger and the callback, the command line's win."""
    (command.folder / "config.yaml").write_text(CONFIG)
    arguments = ["fit", "--config", "config.yaml", "--trainer.logger.init_args.project=from_line"]
    command.python("cli.py", *arguments)
    recorded = only(command.root)
    assert recorded.starts[0].project == "from_line"
    assert recorded.steps("weight/norm/layer.weight") == [0, 1]


def test_with_no_change(command: Command) -> None:
    """Below `rankzero run` a LightningCLI script is recorded like any other."""
    (command.folder / "config.yaml").write_text(CONFIG.split("  logger:", maxsplit=1)[0])
    command.python("cli.py", "fit", "--config", "config.yaml", below=True)
    assert only(command.root).steps("loss") == [0, 1]
