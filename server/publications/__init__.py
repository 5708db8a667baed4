"""Publishers by WebRTC: the voice of a stream, and its mesh frames, in one connection."""
