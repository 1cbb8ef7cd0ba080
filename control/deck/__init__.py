"""The deck file: what it may say, read and checked."""
