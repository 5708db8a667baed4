"""Published streams of mesh frames, their idle animation and expiry."""
