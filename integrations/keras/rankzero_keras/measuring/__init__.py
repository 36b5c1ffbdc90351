"""What is measured of a training step, inside of compiled steps too: gradients, parameters, learning rates."""
