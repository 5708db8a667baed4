"""Ground-truth pictures, datasets, losses and the training loop."""
