"""Texts that hold plain data: edited where a value stands, and nowhere else.

An edit is the list of operations that a live object gets too (`adapters.engine.operations`). A document carries them
out in its text, parses the result again, and refuses unless that is the data after the operations.
"""
