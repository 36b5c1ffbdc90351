"""rankzero for plain PyTorch: gradients and parameters of a watched model, and training scripts recorded with no change."""

from rankzero_pytorch.integration import PyTorch, integration

__all__ = ["PyTorch", "integration"]
