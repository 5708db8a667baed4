"""WebRTC with aiortc, which only this folder imports; other folders use the `Peer` protocol."""
