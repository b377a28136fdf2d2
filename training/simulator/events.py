"""Topics with a date: plans that are moved, corrected and cancelled, and deeds that were done."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from training.simulator import when, wording
from training.simulator.topics import Asked, Said, Scene, Topic, sentence, without_stop
from training.simulator.when import When


class Event(Topic):
    """Something on a day, with what is told of it later."""

    def __init__(self, family: str, owner: str) -> None:
        super().__init__(family, owner)
        self.when: When | None = None
        self.person = ""
        self.first: When | None = None
        """The date before the plan was moved."""
        self._names: dict[str, str] = {}
        self._form, self._moved_form, self._added = "", "", ""
        self._dated_in: UUID | None = None
        self._told_on, self._is_fixed = date.min, False
        self._first_in: UUID | None = None
        self._person_in: UUID | None = None
        self._repeats: list[UUID] = []
        self._cancelled_in: UUID | None = None

    @property
    def is_plan(self) -> bool:
        return self.family == "event"

    @property
    def is_over(self) -> bool:
        return self._cancelled_in is not None

    def moves(self, scene: Scene) -> dict[str, float]:
        if self.memory is None or self.when is None:
            is_left = scene.supply.has("occasion" if self.is_plan else "deed")
            return {"plan" if self.is_plan else "tell": 2.5} if is_left and not self.is_over else {}
        if self.is_plan and self.when.moment.start <= scene.today:
            return {}
        found = {"again": 0.8}
        if self.is_plan and not self.person and scene.supply.has("person"):
            found["more"] = 1.1
        if self.when.is_day and self.first is None and not self._is_fixed:
            found["fix"] = 0.7
            if self.is_plan:
                found["move"] = 1.3
        if self.is_plan:
            found["cancel"] = 1.5
        return found

    def make(self, move: str, scene: Scene) -> Said:
        line = scene.line(f"{self.family}.{move}")
        match move:
            case "plan" | "tell":
                return self._open(scene)
            case "detail" | "more":
                self.person = scene.supply.take("person")
                self._person_in = scene.turn
                self._added = " " + wording.fill(line.kept, {"person": self.person})
                return self._said(line, self._slots() | {"person": self.person}, scene)
            case "again":
                self._repeats.append(scene.turn)
                return self._repeated(line, self._slots())
            case "cancel":
                self._cancelled_in = scene.turn
                return self._withdrawn(line, self._slots())
        return self._redate(move, scene)

    def text(self) -> str:
        told = " ".join(wording.fill(self._form, self._slots()).split()) + self._added
        moved = wording.fill(self._moved_form, {"olds": self.first.name}) if self.first else ""
        return sentence(wording.joined(self.owner, told + moved))

    def asked(self, scene: Scene) -> list[Asked]:
        names = {"the": self._names.get("the", ""), "did": self._names.get("did", "")}
        if self._cancelled_in:
            return [self._ask(scene, "date", "", [self._cancelled_in], **names)]
        found = []
        if self.when and self._dated_in:
            found.append(self._ask(scene, "date", self.when.name, [self._dated_in, *self._repeats], **names))
        if self.person and self._person_in:
            found.append(self._ask(scene, "person", self.person, [self._person_in], **names))
        if self.first and self._first_in:
            found.append(self._ask(scene, "previous", self.first.name, [self._first_in], **names))
        return found

    def _open(self, scene: Scene) -> Said:
        line = scene.line(f"{self.family}.{'plan' if self.is_plan else 'tell'}")
        self._names = self._draw(scene)
        self.when = (when.future if self.is_plan else when.past)(scene.random, scene.today)
        self._form = without_stop(line.what)
        self._dated_in, self._told_on = scene.turn, scene.today
        is_asked = scene.supply.has("person") and scene.random.random() < 0.25
        return self._said(line, self._slots(), scene, then=f"{self.family}.asked" if is_asked else None)

    def _draw(self, scene: Scene) -> dict[str, str]:
        if not self.is_plan:
            return {"did": scene.supply.take("deed")}
        event = scene.supply.take("occasion")
        if scene.supply.has("city", 6) and scene.random.random() < 0.6:
            event = f"{event} in {scene.supply.take('city')}"
        return {"event": event, "the": f"the {event.partition(' ')[2]}"}

    def _redate(self, move: str, scene: Scene) -> Said:
        """A plan that is moved keeps its first date; one that was told wrong does not."""
        before = self.when
        if self.is_plan:
            while self.when is None or before is None or self.when.on == before.on:
                self.when = when.future(scene.random, scene.today, exact=True)
        else:
            self.when = when.past_day(scene.random, scene.today, until=self._told_on, other_than=before)
        self._is_fixed = move == "fix"
        if move == "move":
            self.first, self._first_in = before, self._dated_in
            self._moved_form = wording.phrase(scene.split, "event.moved")
        self._dated_in = scene.turn
        return self._said(scene.line(f"{self.family}.{move}"), self._slots(), scene)

    def _slots(self) -> dict[str, str]:
        return self._names | ({"when": self.when.said, "on": self.when.on} if self.when else {})
