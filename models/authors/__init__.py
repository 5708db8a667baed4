"""The original authors' world: their checkpoints and their data sets, read into ours.

Their code is not here and not needed; what their files hold is described where each is read.
"""
