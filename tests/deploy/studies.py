"""Short studies over three hospitals. They share two plans: to design one takes a second."""

from __future__ import annotations

from tasks.study import Privacy, Study, Training

NAMES = ("cleveland", "hungary", "long-beach")
FREE = Study(name="free", task="heart-disease", rounds=3, training=Training(learning_rate=2.0))
DISTRIBUTED = FREE.model_copy(update={"name": "distributed", "privacy": Privacy(epsilon=4.0)})
LOCAL = FREE.model_copy(
    update={"name": "local", "privacy": Privacy(epsilon=4.0, noise="local", minimum_hospitals=2)}
)
ALL = {"free": FREE, "distributed": DISTRIBUTED, "local": LOCAL}
