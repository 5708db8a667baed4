"""Avatars that are uploaded or made from videos while the server runs, and the jobs for it."""
