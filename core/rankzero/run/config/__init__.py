"""Hyperparameters: any config object as plain data, and the mappings users hold."""
