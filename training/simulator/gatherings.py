"""Topics that grow: pets, siblings, things, skills, cities visited. One memory holds them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from training.simulator import when, wording
from training.simulator.pools import KIN, PETS
from training.simulator.topics import Asked, Said, Scene, Topic, sentence, without_stop
from training.simulator.when import When

MOST = 3
"""Items of one collection: a memory stays short enough to be merged."""
POOL = {"pet": "pet_name", "thing": "thing", "skill": "skill", "place": "city"}
NAMED = ("pet", "kin")
"""The families whose items have a kind and a name; of the others the kind alone tells what they are."""
TOGETHER = {"pet": "pets", "kin": "siblings"}


@dataclass
class Item:
    """One of a collection."""

    kind: str
    name: str
    form: str
    """The fact's form, such as "adopted {a} named {name} {on}"."""
    when: When | None
    pronouns: tuple[str, str, str]
    turns: list[UUID] = field(default_factory=list)
    """Where it was spoken of."""
    dated_in: UUID | None = None
    first_told: date = date.min
    last_told: date = date.min
    is_named: bool = True
    is_fixed: bool = False

    @property
    def label(self) -> str:
        return self.name or self.kind

    @property
    def slots(self) -> dict[str, str]:
        he, him, his = self.pronouns
        base = {"kind": self.kind, "name": self.name, "a": wording.with_article(self.kind), "label": self.label}
        dated = {"when": self.when.said, "on": self.when.on} if self.when else {"when": "", "on": ""}
        return base | dated | {"he": he, "him": him, "his": his}

    def tell(self, scene: Scene) -> None:
        """It is spoken of in this turn."""
        self.turns.append(scene.turn)
        self.first_told = self.first_told if len(self.turns) > 1 else scene.today
        self.last_told = scene.today

    def parts(self) -> tuple[str, str]:
        """The verb, and what it is about: "adopted", "a dog named Buddy on 7 May 2023"."""
        start = min(place for place in (self.form.find("{a}"), self.form.find("{kind}")) if place >= 0)
        return self.form[:start].strip(), " ".join(wording.fill(self.form[start:], self.slots).split())


class Collection(Topic):
    """Items beside each other; one that is lost leaves the list."""

    def __init__(self, family: str, owner: str) -> None:
        super().__init__(family, owner)
        self.items: list[Item] = []
        self.losses: list[str] = []
        self._lost: list[tuple[Item, UUID]] = []
        self._left_in: UUID | None = None

    def moves(self, scene: Scene) -> dict[str, float]:
        named = [item for item in self.items if item.is_named]
        found: dict[str, float] = {}
        if len(self.items) < MOST and len(self.losses) < 2 and self._is_left(scene):
            found["get"] = 2.0
            if self.family == "pet":
                found["anon"] = 0.8
        if named:
            found["again"] = 1.1
            if wording.has(scene.split, f"{self.family}.lose") and len(self.losses) < 2:
                found["lose"] = 0.9
        if self._fixable():
            found["fix"] = 1.1
        return found

    def make(self, move: str, scene: Scene) -> Said:
        match move:
            case "get" | "anon":
                return self._get(scene, is_named=move == "get")
            case "named":
                return self._name(scene)
            case "again":
                item = scene.random.choice([item for item in self.items if item.is_named])
                item.tell(scene)
                return self._repeated(scene.line(f"{self.family}.again"), item.slots)
            case "lose":
                return self._lose(scene)
            case "fix":
                return self._fix(scene)
        raise ValueError(f"{self.family} has no move {move}")

    def text(self) -> str:
        by_verb: dict[str, list[str]] = {}
        for item in self.items:
            verb, noun = item.parts()
            by_verb.setdefault(verb, []).append(noun)
        clauses = [f"{verb} {_listed(nouns)}" for verb, nouns in by_verb.items()]
        own = [clause for clause in clauses if not clause.startswith("'s ")]
        held = wording.joined(self.owner, " and ".join(own)) if own else ""
        others = [wording.joined(self.owner, clause) for clause in clauses if clause.startswith("'s ")]
        return sentence(held, *others, *self.losses)

    def asked(self, scene: Scene) -> list[Asked]:
        if any(not item.is_named for item in self.items):
            return []
        found = [*self._about_items(scene), *self._about_losses(scene)]
        if not self.items and self._left_in:
            found.append(self._ask(scene, "list", "", [self._left_in], kinds=self._kinds()))
        return found

    def _about_items(self, scene: Scene) -> list[Asked]:
        if not self.items:
            return []
        everywhere = [turn for item in self.items for turn in item.turns]
        listed = ", ".join(item.label for item in self.items)
        found = [self._ask(scene, "list", listed, everywhere, kinds=self._kinds())]
        if len(self.items) > 1 and wording.has(scene.split, f"{self.family}?count"):
            found.append(self._ask(scene, "count", str(len(self.items)), everywhere))
        item = scene.random.choice(self.items)
        if scene.random.random() < 0.4:
            found.append(self._ask(scene, "yes", "Yes", item.turns, kind=item.kind))
        if self.family in NAMED:
            found.append(self._ask(scene, "which", item.kind, item.turns, label=item.label))
        dated = [one for one in self.items if one.when and one.dated_in]
        if dated:
            one = scene.random.choice(dated)
            if one.when and one.dated_in:
                found.append(self._ask(scene, "date", one.when.name, [one.dated_in], label=one.label))
        return found

    def _kinds(self) -> str:
        """What a question calls them together: "dogs" where all are dogs."""
        kinds = {item.kind for item in self.items}
        return f"{kinds.pop()}s" if len(kinds) == 1 else TOGETHER.get(self.family, "")

    def _about_losses(self, scene: Scene) -> list[Asked]:
        if not self.losses or self.memory is None:
            return []
        item, turn = self._lost[-1]
        if any(one.label == item.label for one in self.items):
            return []
        return [self._ask(scene, "still", "No", [turn], label=item.label)]

    def _get(self, scene: Scene, *, is_named: bool) -> Said:
        item = self._draw(scene)
        line = scene.line(f"{self.family}.{'get' if is_named else 'anon'}")
        item.is_named = is_named
        item.form = without_stop(line.what)
        # Two spans in one memory would repeat too many words.
        item.when = when.past(scene.random, scene.today, exact=bool(self.items)) if line.is_dated else None
        item.tell(scene)
        item.dated_in = scene.turn if item.when else None
        # A second one of a kind is "another" where it is told; the memory counts nothing.
        is_another = any(one.kind == item.kind for one in self.items)
        self.items.append(item)
        slots = item.slots | ({"a": f"another {item.kind}"} if is_another else {})
        return self._said(line, slots, scene, then=None if is_named else "pet.asked")

    def _is_left(self, scene: Scene) -> bool:
        pools = KIN if self.family == "kin" else (POOL[self.family],)
        return all(scene.supply.has(pool) for pool in pools)

    def _draw(self, scene: Scene) -> Item:
        pronouns = scene.random.choice([("he", "him", "his"), ("she", "her", "her")])
        if self.family == "kin":
            kind = scene.random.choice(KIN)
            return Item(kind, scene.supply.take(kind), "", None, pronouns)
        taken = scene.supply.take(POOL[self.family])
        if self.family == "pet":
            return Item(scene.random.choice(PETS), taken, "", None, pronouns)
        return Item(taken, "", "", None, pronouns)

    def _name(self, scene: Scene) -> Said:
        item = next(item for item in self.items if not item.is_named)
        item.is_named = True
        item.form = item.form.replace("{a}", "{a} named {name}")
        item.tell(scene)
        return self._said(scene.line("pet.named"), item.slots, scene)

    def _lose(self, scene: Scene) -> Said:
        item = scene.random.choice([item for item in self.items if item.is_named])
        line = scene.line(f"{self.family}.lose")
        self.items.remove(item)
        self._lost.append((item, scene.turn))
        self._left_in = scene.turn
        gone = when.past(scene.random, scene.today, exact=True, since=item.last_told) if line.is_dated else None
        slots = item.slots | ({"when": gone.said, "on": gone.on} if gone else {})
        if not (gone or self.items or self.losses):
            return self._withdrawn(line, slots)
        self.losses.append(without_stop(wording.joined(self.owner, wording.fill(line.what, slots))))
        return self._said(line, slots, scene)

    def _fix(self, scene: Scene) -> Said:
        item = scene.random.choice(self._fixable())
        before = item.when
        item.when = when.past_day(scene.random, scene.today, until=item.first_told, other_than=before)
        item.dated_in, item.is_fixed = scene.turn, True
        item.tell(scene)
        return self._said(scene.line(f"{self.family}.fix"), item.slots, scene)

    def _fixable(self) -> list[Item]:
        return [i for i in self.items if i.when and i.when.is_day and i.is_named and not i.is_fixed]


def _listed(nouns: list[str]) -> str:
    return " and ".join([", ".join(nouns[:-1]), nouns[-1]] if len(nouns) > 1 else nouns)
