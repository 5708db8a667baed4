"""Training: losses, objectives, the optimizer and the training loop."""
