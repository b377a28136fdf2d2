"""Topics of one value, such as where somebody lives, and topics that hold until they are over."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from training.simulator import when, wording
from training.simulator.topics import Asked, Said, Scene, Topic, sentence, without_stop
from training.simulator.when import When

POOL = {"home": "city", "job": "employer", "drink": "drink", "car": "car"}
MOST_CHANGES = 3


class State(Topic):
    """One value at a time; a change keeps what was before, a correction does not."""

    def __init__(self, family: str, owner: str) -> None:
        super().__init__(family, owner)
        self.value = ""
        self.olds: list[str] = []
        self.when: When | None = None
        self._form, self._history = "", ""
        self._turns: list[UUID] = []
        self._old_turns: list[UUID] = []
        self._dated_in: UUID | None = None
        self._is_fresh = False
        self._told_on = date.min

    def moves(self, scene: Scene) -> dict[str, float]:
        is_left = scene.supply.has(POOL[self.family])
        if self.memory is None:
            return {"is": 2.0} if is_left else {}
        found = {"again": 1.0}
        if is_left and len(self.olds) < MOST_CHANGES:
            found["change"] = 1.6
        if is_left and self._is_fresh:
            found["fix"] = 1.0
        return found

    def make(self, move: str, scene: Scene) -> Said:
        line = scene.line(f"{self.family}.{move}")
        if move == "again":
            self._turns.append(scene.turn)
            self._told_on, self._is_fresh = scene.today, False
            return self._repeated(line, {"new": self.value})
        old, self.value = self.value, scene.supply.take(POOL[self.family])
        slots = {"new": self.value, "old": old}
        self._history = wording.phrase(scene.split, "state.history")
        self._past = wording.phrase(scene.split, f"{self.family}.past")
        if move == "change":
            self.when = when.past(scene.random, scene.today, since=self._told_on) if line.is_dated else None
            slots |= {"when": self.when.said, "on": self.when.on} if self.when else {}
            self.olds.append(old)
            self._old_turns = self._turns
            self._dated_in = scene.turn if self.when and "{date}" in line.kept else None
        if move != "fix":
            self._form = line.kept or without_stop(line.what)
        self._turns, self._told_on = [scene.turn], scene.today
        self._is_fresh = move != "fix"
        return self._said(line, slots, scene)

    def text(self) -> str:
        now = {"new": self.value, "date": self.when.name if self.when else ""}
        held = wording.joined(self.owner, wording.fill(self._form, now))
        if not self.olds:
            return sentence(held)
        slots = {"who": self.owner, "past": self._past, "olds": " and then ".join(self.olds)}
        return sentence(held + wording.fill(self._history, slots).replace(" 's ", "'s "))

    def asked(self, scene: Scene) -> list[Asked]:
        found = [self._ask(scene, "current", self.value, self._turns)]
        if self.olds:
            evidence = [*self._old_turns, *self._turns]
            found.append(self._ask(scene, "previous", self.olds[-1], evidence, new=self.value))
        if self.when and self._dated_in:
            found.append(self._ask(scene, "date", self.when.name, [self._dated_in, *self._turns], new=self.value))
        return found


class Flag(Topic):
    """Something that holds until it is over; then nothing of it is kept."""

    def __init__(self, family: str, owner: str) -> None:
        super().__init__(family, owner)
        self.thing = ""
        self._form = ""
        self._turns: list[UUID] = []

    def moves(self, scene: Scene) -> dict[str, float]:
        if self.memory is None:
            return {"is": 1.6} if scene.supply.has(self.family) else {}
        return {"again": 1.0, "over": 1.8}

    def make(self, move: str, scene: Scene) -> Said:
        line = scene.line(f"{self.family}.{move}")
        if move == "is":
            self.thing = scene.supply.take(self.family)
            self._form = without_stop(line.what)
            self._turns = []
        self._turns.append(scene.turn)
        slots = {"thing": self.thing}
        match move:
            case "is":
                return self._said(line, slots, scene)
            case "again":
                return self._repeated(line, slots)
        self._turns = [scene.turn]
        return self._withdrawn(line, slots)

    def text(self) -> str:
        return sentence(wording.joined(self.owner, wording.fill(self._form, {"thing": self.thing})))

    def asked(self, scene: Scene) -> list[Asked]:
        return [self._ask(scene, "current", "" if self.memory is None else self.thing, self._turns)]
