"""What `rankzero.plugin` asks of an integration, for each of Lightning's import names."""

from __future__ import annotations

from rankzero.plugin import Integration
from rankzero_lightning.flavors import LIGHTNING, PYTORCH_LIGHTNING, Flavor


class Lightning(Integration):
    """Hooks for Trainers of one flavor that have never heard of rankzero."""

    name = "lightning"
    extra = "lightning"

    def __init__(self, flavor: Flavor) -> None:
        self.framework = flavor.name
        self._flavor = flavor

    def activate(self) -> None:
        """Listen to Trainers."""
        from rankzero_lightning.listening import install

        install(self._flavor)


lightning = Lightning(LIGHTNING)
"""Named in the entry point group `rankzero.integrations`."""

pytorch_lightning = Lightning(PYTORCH_LIGHTNING)
"""Named in the entry point group `rankzero.integrations`."""
