"""Codecs: pure functions between native configuration bytes and the model. No I/O."""
