"""Transports of frames to viewers: WebRTC, or JPEG images over a WebSocket."""
