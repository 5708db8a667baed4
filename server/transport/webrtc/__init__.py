"""WebRTC by aiortc: the only folder that knows it. Routes and sessions see the `Peer` protocol."""
