"""The test bed: real platforms on loopback, for the tests and for a person.

`python -m tests.bed up --dir DIR` starts the fleet, `down` ends exactly what it started. Servers bind to one block of
loopback addresses (127.B.0.0/16) that belongs to this bed alone, so that several beds can run side by side.
"""
