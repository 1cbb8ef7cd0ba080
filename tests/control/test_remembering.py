"""What is made of an object is made once for as long as that very object is there."""

from __future__ import annotations

from control.memo import Memo


class Thing:
    pass


def test_only_new_objects_are_made_anew_and_what_is_gone_is_forgotten() -> None:
    made: list[Thing] = []

    def make(thing: Thing) -> list[Thing]:
        made.append(thing)
        return [thing]

    remembering = Memo(make)
    one, two, three = Thing(), Thing(), Thing()
    first = remembering([one, two])
    again = remembering([two, three, two])
    assert again[0] is first[1] and again[2] is first[1], "the very same result, in the order of the list"
    assert made == [one, two, three]
    assert remembering([one])[0] is not first[0], "it was gone in between"
    assert remembering([]) == []
