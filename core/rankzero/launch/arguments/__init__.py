"""Who listens to the libraries that parse command lines: one file each, loaded when its library is imported."""
