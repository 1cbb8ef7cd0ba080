"""The control plane itself: what traffic settings are, and how a change to them is made safely.

Pure Python: no network, no files of a platform, no screen.
"""
