"""What a kind is, as data, and the machine that reads and edits documents by it. No I/O, and no platform."""
