"""Many hosts: which of them a viewer or a stream goes to. Media never crosses them.

A host is a whole server. A router answers viewers and publishers with 307 to one of them, and is
never in the way of a frame.
"""
