"""What rankzero finds out by itself: the environment, the code, the system, what the process prints."""
