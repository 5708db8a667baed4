"""Datasets: head motion, rendered frames on disk, and the training samples drawn from them."""
