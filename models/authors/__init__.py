"""Import checkpoints of the paper's authors, and verify them against their published output.

Their code is not needed; the modules that read their files describe the formats.
"""
