"""What `rankzero.plugin` asks of an integration, for Keras 3."""

from __future__ import annotations

from rankzero.plugin import Integration

NAME = "keras"


class Keras(Integration):
    """Models recorded with no change to the program."""

    name = NAME
    framework = "keras"
    extra = "keras"

    def activate(self) -> None:
        """Listen to models."""
        from rankzero_keras.listening import install

        install()


integration = Keras()
"""Named in the entry point group `rankzero.integrations`."""
