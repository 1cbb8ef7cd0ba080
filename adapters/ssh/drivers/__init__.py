"""Drivers: for one proxy each, the order of writes, the proof that they are live, and the counters."""
