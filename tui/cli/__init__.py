"""The command line: the twin of the screen. Nothing in here imports Textual."""
