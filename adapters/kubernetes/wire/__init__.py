"""The parts of native objects that are decoded: only fields that are used, everything else is passed over.

A list of JSON that is `null` or absent is an empty one. Numbers of a kind are decoded as they come (`Number`): what
they mean is said by `kinds.numbers`, so that one that nobody understands does not hide its object.
"""
