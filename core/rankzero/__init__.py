"""rankzero: experiment tracking for machine learning, local-first."""
