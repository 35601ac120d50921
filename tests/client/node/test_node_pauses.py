from __future__ import annotations

import itertools

from client.node.supernode import IDLE, QUICKEST, SLOWEST, Pauses


def test_a_node_asks_quickly_after_work_and_slowly_when_nothing_happens() -> None:
    slept: list[float] = []
    answers = itertools.count()
    pauses = Pauses(lambda: next(answers), slept.append)
    for _ in range(200):
        pauses(IDLE)
    assert slept[0] == QUICKEST
    assert slept == sorted(slept)
    assert slept[-1] == SLOWEST
    assert next(answers) == 200
    pauses(0.5)  # it waits for its executor: there is work
    pauses(IDLE)
    assert slept[-2:] == [QUICKEST, QUICKEST]
    assert next(answers) == 202
