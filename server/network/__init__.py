"""Reaching a viewer wherever it is: ICE servers, and pictures for who cannot use WebRTC."""
