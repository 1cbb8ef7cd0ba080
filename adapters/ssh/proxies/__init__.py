"""One folder per proxy: its text, read and edited, the order of writes, the proof, the counters."""
