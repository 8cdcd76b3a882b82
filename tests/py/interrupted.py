"""Trainings that die at given steps."""

from collections.abc import Callable, Iterable

from sv_py.train.loop import Trainer


class Killed(Exception):
    """Stands for the death of the process."""


def run_with_deaths(monkeypatch, start: Callable[[], Trainer], steps: Iterable[int]) -> None:
    """Run ``start()`` again and again, from one death to the next: each comes after so many of ``steps``."""
    train_step = Trainer._train_step
    for count in steps:
        left = [count]

        def dying_step(self, *arguments, left=left):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return train_step(self, *arguments)

        monkeypatch.setattr(Trainer, "_train_step", dying_step)
        try:
            start().run()
        except Killed:
            continue
