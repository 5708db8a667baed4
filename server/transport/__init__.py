"""How frames reach a viewer: WebRTC, or JPEG images over a WebSocket."""
