"""The journal as one SQLite file, with small files beside it."""
