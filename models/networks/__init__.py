"""The networks of the paper, one file per box of its figure."""
