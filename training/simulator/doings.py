"""Doings and standing facts in free wording, composed by a grammar: what, with whom, where, when, why, how it felt.

A frame is a line of `frames_train` and its like: `text || noun || flags || question=slot || ...`. The first word of the
text holds two forms of its verb ("took/take" of a doing, "love/loves" of what stands), `<a|b>` is one of several,
`( ...)` may be left out, and `^` is where company, place and date go. In the noun and the questions `{1}` is what the
first choice became, and X the speaker. Flags are told at `Frame.flags`; `#books` among them names a group.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from functools import cache
from random import Random
from typing import NamedTuple
from uuid import UUID

from app.core import moments
from training.simulator import doings_exam, doings_train, doings_validation, when, wording
from training.simulator.pools import Split
from training.simulator.topics import Asked, Said, Scene, Topic, sentence, without_stop
from training.simulator.when import When

MOST_CHARACTERS = 120
"""Of a fact: a small model copies that much without losing the thread."""
DATED = 0.65
"""The share of doings that are told with their date; people leave it out where it is the day itself, or nearly so."""
_WORDS = {Split.TRAIN: doings_train, Split.VALIDATION: doings_validation, Split.EXAM: doings_exam}
_CHOICE, _OPTION = re.compile(r"<([^<>]+)>"), re.compile(r"\(([^()]*)\)")
_THIRD = {
    "i'm": "they're", "i am": "they are", "i was": "they were", "i've": "they've", "i'd": "they'd", "i": "they",
    "my": "their", "me": "them", "myself": "themselves", "we": "they", "us": "them", "our": "their",
    "ourselves": "themselves",
}  # fmt: skip
_SECOND = {"my": "your", "our": "your", "me": "you", "myself": "yourself", "i": "you"}
_THING = re.compile(r"(?:an? |the |\"|\d)")
_FIRST_PERSON = re.compile(r"\b(I'm|I am|I was|I've|I'd|I|[Mm]y|me|myself|[Ww]e|us|[Oo]ur|ourselves)\b")


class Frame(NamedTuple):
    """One thing to tell, with its choices open."""

    is_standing: bool
    verb: str
    """As the speaker says it: "took", "love"."""
    other: str
    """The base of a doing ("take"), the third person of what stands ("loves")."""
    text: str
    noun: str
    """What the others may call it: "my trip to the lake"."""
    flags: str
    """w: has company, p: has a place, f: may be a plan, s: is sad, x: what stands may end."""
    group: str
    """Of frames that one question asks for together ("What books has X read?"); the first choice is the answer."""
    choices: tuple[tuple[str, ...], ...]
    questions: tuple[tuple[str, int], ...]


@cache
def frame(line: str) -> Frame:
    """The frame that a line writes."""
    kind, _, line = line.partition(":")
    text, noun, flags, *questions = (part.strip() for part in line.split("||"))
    choices: list[tuple[str, ...]] = []

    def number(match: re.Match[str]) -> str:
        choices.append(tuple(match[1].split("|")))
        return f"{{{len(choices)}}}"

    verb, _, rest = _CHOICE.sub(number, text).partition(" ")
    first, _, other = verb.partition("/")
    flags, _, group = flags.partition("#")
    asked = (question.rpartition("=") for question in questions)
    numbered = tuple((question, int(slot)) for question, _, slot in asked)
    return Frame(kind == "standing", first, other, rest, noun, flags, group, tuple(choices), numbered)


def third(text: str) -> str:
    """What one says of oneself, told of somebody by the singular "they"."""
    return _FIRST_PERSON.sub(lambda match: _THIRD[match[0].lower()], text)


def answered(choice: str) -> str:
    """A choice as an answer names it: a title without its quotation marks."""
    return third(choice).strip('"')


def second(text: str) -> str:
    """What one says of oneself, said to one's face."""
    return _FIRST_PERSON.sub(lambda match: _SECOND.get(match[0].lower(), match[0]), text)


class Doing(Topic):
    """A doing, a plan or something that stands: one memory, with what is added to it later."""

    def __init__(self, family: str, owner: str) -> None:
        super().__init__(family, owner)
        self.frame: Frame | None = None
        self.is_plan = self.is_over_now = False
        self.when: When | None = None
        self.company = self.place = self.feeling = ""
        self.chosen: list[str] = []
        self.told_in: list[UUID] = []
        """Where the choices were told."""
        self._full = self._short = self._form = ""
        self._dated_in: UUID | None = None
        self._company_in: UUID | None = None
        self._place_in: UUID | None = None
        self._told_on = date.min
        self._changes, self._asked_where, self._is_named = 0, False, False

    @property
    def is_over(self) -> bool:
        return self.is_over_now

    @property
    def group(self) -> str:
        return self.frame.group if self.frame and not self.is_plan else ""

    def _drawn(self) -> Frame:
        if self.frame is None:
            raise ValueError(f"nothing of this {self.family} was told")
        return self.frame

    def moves(self, scene: Scene) -> dict[str, float]:
        if self.memory is None:
            return {"tell": 1.0} if scene.supply.has("doing") and not self.is_over else {}
        form = self._drawn()
        if self.is_plan and self.when and self.when.moment.start <= scene.today:
            return {}
        found = {"again": 0.05}
        if self._changes < 2:
            if "w" in form.flags and not self.company:
                found["more"] = 0.2 if self.is_plan else 0.09
            if self.when and self.when.is_day and not form.is_standing:
                found["put_off" if self.is_plan else "fix"] = 0.2 if self.is_plan else 0.05
            if not self.is_plan and "s" not in form.flags and self._has_things():
                found["swap"] = 0.05
        if self.is_plan or "x" in form.flags:
            found["cancel" if self.is_plan else "over"] = 0.25 if self.is_plan else 0.08
        return found

    def _has_things(self) -> bool:
        """Whether the first choice is between things, which one may mix up; nobody mixes up who died."""
        choices = self._drawn().choices
        return "{1}" in self._short and len(choices[0]) > 2 and all(map(_THING.match, choices[0]))

    def make(self, move: str, scene: Scene) -> Said:
        match move:
            case "tell":
                return self._noted(self._tell(scene))
            case "detail" | "more":
                return self._noted(self._add(scene, is_asked=move == "detail"))
            case "again":
                key = "plan_again" if self.is_plan else "held" if self._drawn().is_standing else "again"
                return self._noted(self._repeated(scene.line(f"doing.{key}"), self._slots()))
            case "fix" | "put_off":
                return self._noted(self._redate(move, scene))
            case "swap":
                return self._noted(self._swap(scene))
            case "cancel" | "over":
                self.is_over_now, self.told_in = True, [scene.turn]
                return self._noted(self._withdrawn(scene.line(f"doing.{move}"), self._slots()))
        raise ValueError(f"a doing has no move {move}")

    def text(self) -> str:
        return sentence(wording.joined(self.owner, wording.fill(self._form, self._slots()) + self._felt()))

    def asked(self, scene: Scene) -> list[Asked]:
        if self.is_over_now or self.memory is None:
            return []
        slots = self._slots()
        found = []
        if self.when and self._dated_in:
            key = "planned" if self.is_plan else "date"
            found.append(self._ask(scene, key, self.when.name, [self._dated_in], **slots))
        elif not (self._drawn().is_standing or self._changes):
            # The best that a bank can tell of when it was is when it was said.
            told = self._ask(scene, "date", moments.on_day(self._told_on).name, self.told_in, **slots)
            found.append(replace(told, kind="said"))
        key = "plan_" if self.is_plan else ""
        if self.company and self._company_in:
            answer = third(self.company).rpartition(" ")[2] if self._is_named else third(self.company)
            found.append(self._ask(scene, f"{key}who", answer, [self._company_in], **slots))
        if self.place and self._place_in:
            answer = re.sub(r"^(at|in|on|by) ", "", self.place)
            found.append(self._ask(scene, f"{key}where", third(answer), [self._place_in], **slots))
        if self.feeling:
            found.append(self._ask(scene, "feeling", self.feeling, [self.told_in[0]], **slots))
        found += [] if self.is_plan else self._about_choices(scene.random)
        return scene.random.sample(found, min(3, len(found)))

    def _about_choices(self, random: Random) -> list[Asked]:
        by_slot: dict[int, list[str]] = {}
        for question, slot in self._drawn().questions:
            if f"{{{slot}}}" in self._full and not (slot == 1 and self.group):
                by_slot.setdefault(slot, []).append(question)
        return [
            Asked("what", self._question(random.choice(ways)), answered(self.chosen[slot - 1]), tuple(self.told_in))
            for slot, ways in by_slot.items()
        ]

    def _question(self, form: str) -> str:
        return re.sub(r"\bX\b", self.owner, form.format("", *map(third, self.chosen)))

    def untold(self, scene: Scene) -> Asked | None:
        """A question about something that is then never told."""
        self._draw(scene)
        ways = [question for question, slot in self._drawn().questions if slot == 1 and "{" not in question]
        return Asked("untold", self._question(scene.random.choice(ways)), "", ()) if ways and not self.group else None

    # Telling

    def _draw(self, scene: Scene) -> None:
        random = scene.random
        self.frame = form = frame(scene.supply.take("doing"))
        self.chosen = [random.choice(choice) for choice in form.choices]
        self._full = _OPTION.sub(lambda match: match[1] if random.random() < 0.5 else "", form.text)
        self._short = _OPTION.sub("", form.text)

    def _tell(self, scene: Scene) -> Said:
        random = scene.random
        self._draw(scene)
        form = self._drawn()
        self.is_plan = "f" in form.flags and random.random() < 0.45
        if not form.is_standing and (self.is_plan or random.random() < DATED):
            self.when = (when.future if self.is_plan else when.past)(random, scene.today)
        self._draw_company(scene)
        if "p" in form.flags and random.random() < 0.35:
            self._draw_place(scene)
        if not form.is_standing and not self.is_plan and random.random() < 0.2:
            self.feeling = random.choice(_WORDS[scene.split].SAD if "s" in form.flags else _WORDS[scene.split].GLAD)
        self._shorten()
        key = "standing" if form.is_standing else "plan" if self.is_plan else "tell"
        line = scene.line(f"doing.{key}", dated=None if self.when else False)
        self._form = without_stop(line.what)
        self.told_in, self._told_on = [scene.turn], scene.today
        self._dated_in = scene.turn if self.when else None
        apart = [part for part in ("company", "place") if getattr(self, part) and random.random() < 0.4]
        said = self._said(line, self._slots(apart), scene, then=self._asks(random))
        extras = [scene.line(f"doing.{part}{'_plan' if self.is_plan else ''}").say for part in apart]
        extras += [scene.line("doing.felt").say] if self.feeling else []
        texts = [said.say, *(wording.fill(extra, self._slots()) for extra in extras)]
        what = without_stop(said.what) + self._felt() + "."
        return replace(said, say=" ".join(texts), what=what)

    def _draw_company(self, scene: Scene, *, always: bool = False) -> None:
        if "w" not in self._drawn().flags or (not always and scene.random.random() > 0.3):
            return
        # Nobody takes the kids to the zoo with the kids.
        fitting = [one for one in _WORDS[scene.split].COMPANY if one.rpartition(" ")[2] not in self._full]
        company = scene.random.choice(fitting)
        self._is_named = "{person}" in company
        if self._is_named and not scene.supply.has("person"):
            self._is_named, company = False, "my partner"
        name = scene.supply.take("person") if self._is_named else ""
        self.company, self._company_in = company.replace("{person}", name), scene.turn

    def _draw_place(self, scene: Scene) -> None:
        place = scene.random.choice(_WORDS[scene.split].PLACES)
        if scene.supply.has("city", 10) and scene.random.random() < 0.3:
            place = f"in {scene.supply.take('city')}"
        self.place, self._place_in = place, scene.turn

    def _shorten(self) -> None:
        """Leave out what makes the fact too long."""
        if self._length() > MOST_CHARACTERS:
            self.feeling = ""
        if self._length() > MOST_CHARACTERS:
            self.place = ""
        if self._length() > MOST_CHARACTERS:
            self._full = self._short
        if self._length() > MOST_CHARACTERS:
            self.company = ""

    def _length(self) -> int:
        return len(f"{self.owner} is planning to {self._slots()['fact']}{self._felt()}.")

    def _asks(self, random: Random) -> str | None:
        """What the other one asks next."""
        form = self._drawn()
        if "w" in form.flags and not self.company and random.random() < 0.35:
            return "doing.ask_plan_who" if self.is_plan else "doing.ask_who"
        if "p" in form.flags and not self.place and not self.is_plan and random.random() < 0.25:
            self._asked_where = True
            return "doing.ask_where"
        return None

    # Later

    def _add(self, scene: Scene, *, is_asked: bool) -> Said:
        """Who comes along, or where it was."""
        self._changes += 1
        plan = "plan_" if self.is_plan else ""
        if not (is_asked and self._asked_where):
            self._draw_company(scene, always=True)
            key = f"doing.{plan}{'who' if is_asked else 'more'}"
        else:
            self._draw_place(scene)
            key = "doing.where"
        return self._said(scene.line(key), self._slots(), scene)

    def _redate(self, move: str, scene: Scene) -> Said:
        before = self.when
        self._changes += 2
        if self.is_plan:
            while before is None or self.when is None or self.when.on == before.on:
                self.when = when.future(scene.random, scene.today, exact=True)
        else:
            self.when = when.past_day(scene.random, scene.today, until=self._told_on, other_than=before)
        self._dated_in = scene.turn
        return self._said(scene.line(f"doing.{move}"), self._slots(), scene)

    def _swap(self, scene: Scene) -> Said:
        """The first choice was told wrong."""
        self._changes += 2
        old = self.chosen[0]
        self.chosen[0] = scene.random.choice([one for one in self._drawn().choices[0] if one != old])
        self.told_in.append(scene.turn)
        slots = self._slots() | {"old": old, "new": self.chosen[0], "not_old": third(old)}
        return self._said(scene.line("doing.swap"), slots, scene)

    # Wording

    def _noted(self, said: Said) -> Said:
        is_sad = "s" in self._drawn().flags or (self.is_plan and self.is_over)
        mood = "sad" if is_sad else "fond" if self.is_plan or self._drawn().is_standing else "glad"
        return replace(said, noun=self._noun(), mood=mood)

    def _noun(self) -> str:
        noun = self._drawn().noun.format("", *self.chosen)
        return re.sub(r"^an? ", "the ", re.sub(r"\b(the|my) (an?|the|my) ", r"\1 ", noun))

    def _felt(self) -> str:
        return f" and felt {self.feeling}" if self.feeling else ""

    def _clause(self, verb: str, text: str, *inserted: str) -> str:
        head, _, tail = text.format("", *self.chosen).partition("^")
        return " ".join(" ".join([verb, head, *inserted, tail]).split()).replace(" ,", ",")

    def _slots(self, apart: list[str] | None = None) -> dict[str, str]:
        """The forms of what is told; what is `apart` has a sentence of its own."""
        form = self._drawn()
        said, other = (form.other, form.other) if self.is_plan else (form.verb, form.other if form.is_standing else "")
        company = f"with {self.company}" if self.company else ""
        beside = [text for key, text in (("company", company), ("place", self.place)) if key not in (apart or [])]
        dated = {"when": self.when.said, "on": self.when.on} if self.when else {"when": "", "on": ""}
        own = other or said
        return dated | {
            "who": self.owner,
            "told": self._clause(said, self._full, *beside, dated["when"]),
            "bare": self._clause(said, self._full, *beside),
            "fact": third(self._clause(own, self._full, company, self.place, dated["on"])),
            "did": self._clause(said, self._short),
            "short": third(self._clause(own, self._short)),
            "base": third(self._clause(form.other, self._short)),
            "did_with": self._clause(said, self._short, company),
            "short_with": third(self._clause(own, self._short, company)),
            "short_at": third(self._clause(own, self._short, self.place)),
            "did_when": self._clause(said, self._short, dated["when"]),
            "short_on": third(self._clause(own, self._short, dated["on"])),
            "noun": self._noun(),
            "company": self.company,
            "at": self.place,
            "feeling": self.feeling,
        }


class Group(Topic):
    """What doings of one kind add up to, such as the books somebody has read."""

    def __init__(self, owner: str, split: Split, name: str) -> None:
        super().__init__("doing", owner)
        self._question = _WORDS[split].GROUPS[name]
        self.doings: list[Doing] = []

    def moves(self, scene: Scene) -> dict[str, float]:
        return {}

    def make(self, move: str, scene: Scene) -> Said:
        raise ValueError("a group is only asked about")

    def text(self) -> str:
        return ""

    def asked(self, scene: Scene) -> list[Asked]:
        live = [doing for doing in self.doings if doing.memory]
        if not live:
            return []
        answer = ", ".join(answered(doing.chosen[0]) for doing in live)
        question = scene.random.choice(self._question.split("|")).replace("X", self.owner)
        evidence = [turn for doing in live for turn in doing.told_in]
        return [Asked("several", question, answer, tuple(dict.fromkeys(evidence)))]
