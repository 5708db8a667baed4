"""The telepresence server: streams of faces in, WebRTC video out."""
