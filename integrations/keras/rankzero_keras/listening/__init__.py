"""Where this package listens: to models, loops, checkpoints and summaries, in Keras's and TensorFlow's own functions."""
