"""Placement of viewers and streams on many hosts.

A host is a whole server. A router redirects viewers and publishers to one of them with status 307;
media flows directly between viewer and host.
"""
