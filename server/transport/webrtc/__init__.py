"""WebRTC by aiortc, which only this folder imports. Routes and sessions use the `Peer` protocol."""
