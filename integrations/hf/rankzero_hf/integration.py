"""What `rankzero.plugin` asks of an integration, for transformers and for accelerate."""

from __future__ import annotations

from types import ModuleType

from rankzero.plugin import Integration, after_import


class Transformers(Integration):
    """Trainers recorded with no change to the program."""

    name = "transformers"
    framework = "transformers"
    extra = "hf"

    def activate(self) -> None:
        """Listen to trainers, once the program imports them; it may only want a tokenizer."""

        def listen(module: ModuleType) -> None:
            from rankzero_hf.trainers import listen

            listen(module)

        def listen_to_trainers(module: ModuleType) -> None:
            from rankzero_hf.trainers import listen_to_work

            listen_to_work(module)

        after_import("transformers.trainer_callback", listen)
        after_import("transformers.trainer", listen_to_trainers)


class Accelerate(Integration):
    """Programs that drive their own loop with an Accelerator, recorded with no change."""

    name = "accelerate"
    framework = "accelerate"
    extra = "hf"

    def activate(self) -> None:
        """Listen to accelerators."""

        def listen(module: ModuleType) -> None:
            from rankzero_hf.accelerators import listen

            listen(module)

        after_import("accelerate.accelerator", listen)


transformers = Transformers()
accelerate = Accelerate()
