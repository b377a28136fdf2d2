"""The generator: two speakers, what is true of them, and how they come to speak of it, all drawn from one seed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

from pydantic import Field

from app.core.changes import Verdict, plan
from app.core.operations import Operation, OperationKind
from app.core.values import Fact, Memory, Turn, Value
from training.data.conversation import Question, stable_id
from training.simulator import wording
from training.simulator.chatter import Chatter, Heard
from training.simulator.doings import Doing, Group
from training.simulator.events import Event
from training.simulator.gatherings import TOGETHER, Collection
from training.simulator.oracle import apply_right
from training.simulator.pools import Split
from training.simulator.states import Flag, State
from training.simulator.topics import Asked, Said, Scene, Supply, Topic
from training.simulator.values import RightOperation, SaidFact, SimulatedConversation, SimulatedTurn

FAMILIES: dict[str, type[Topic]] = {
    "pet": Collection,
    "kin": Collection,
    "thing": Collection,
    "skill": Collection,
    "place": Collection,
    "home": State,
    "job": State,
    "drink": State,
    "car": State,
    "pain": Flag,
    "diet": Flag,
    "idea": Flag,
    "event": Event,
    "deed": Event,
    "doing": Doing,
}
REPEATABLE = ("event", "deed", "doing")
"""A speaker has one topic of each other family."""


_EPOCH = datetime(2022, 1, 10, tzinfo=UTC)


class WorldOptions(Value):
    """How long the conversations are, and how much they hold."""

    sessions: tuple[int, int] = (4, 8)
    turns: tuple[int, int] = (10, 20)
    """Of one session."""
    telling: float = Field(0.55, ge=0, le=1)
    """Share of the turns that tell something, greetings aside."""
    twofold: float = Field(0.2, ge=0, le=1)
    """Share of those that tell two things."""
    unanswerable: int = Field(4, ge=0)
    """Questions about what is never told, for each speaker."""
    doings: float = Field(24.0, ge=0)
    """Weight of the free doings and standing facts; all other topics together weigh about 20 at first."""


def conversations(split: Split, seed: int, options: WorldOptions | None = None) -> Iterator[SimulatedConversation]:
    """Conversations without end; the same seed gives the same ones in every process."""
    number = 0
    while True:
        yield simulate(split, seed, number, options)
        number += 1


def simulate(split: Split, seed: int, number: int, options: WorldOptions | None = None) -> SimulatedConversation:
    """One conversation by its number."""
    return _World(split, seed, number, options or WorldOptions()).run()


@dataclass
class _Open:
    """A question while its answer is right."""

    asked: Asked
    since: int
    until: int | None = None


@dataclass
class _Spoken:
    """What a turn is made of before it is written down."""

    texts: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)


class _World:
    def __init__(self, split: Split, seed: int, number: int, options: WorldOptions) -> None:
        self._id, self._split, self._seed = f"sim-{split.value}-{seed}-{number}", split, seed
        # A text seeds alike in every process; a tuple would be hashed.
        self._random = Random(self._id)
        self._options = options
        self._supply = Supply(self._random, split)
        self._speakers = (self._supply.take("speaker"), self._supply.take("speaker"))
        self._topics: dict[str, list[Topic]] = {speaker: self._blank(speaker) for speaker in self._speakers}
        self._turns: list[SimulatedTurn] = []
        self._questions: list[tuple[Topic, _Open]] = []
        self._standing: dict[Topic, list[_Open]] = {}
        self._memories = 0
        self._bank: dict[UUID, Memory] = {}
        self._forced: tuple[str, Topic, Said] | None = None
        self._chatter = Chatter(self._random, split)
        self._heard: dict[str, Heard] = {}
        """What each speaker told last, with something to come back to."""
        self._groups: dict[tuple[str, str], Group] = {}

    def _blank(self, speaker: str) -> list[Topic]:
        return [form(family, speaker) for family, form in FAMILIES.items()]

    def run(self) -> SimulatedConversation:
        low, high = self._options.sessions
        self._ask_what_nobody_told()
        at = _EPOCH + timedelta(days=self._random.randint(0, 900))
        for session in range(1, self._random.randint(low, high) + 1):
            at += timedelta(days=self._random.randint(2, 12))
            self._hold_session(session, at + timedelta(minutes=self._random.randint(8 * 60, 22 * 60)))
        return SimulatedConversation(
            id=self._id,
            split=self._split,
            seed=self._seed,
            speakers=self._speakers,
            turns=tuple(self._turns),
            questions=self._written_questions(),
        )

    def _hold_session(self, session: int, at: datetime) -> None:
        first = self._random.randrange(2)
        length = self._random.randint(*self._options.turns)
        number = 0
        while number < length or self._forced:
            speaker, other = self._speakers[(first + number) % 2], self._speakers[(first + number + 1) % 2]
            scene = self._scene(session, number, at)
            spoken = self._speak(scene, speaker, other, number)
            self._write(scene, spoken, speaker, session, number, at)
            at += timedelta(seconds=self._random.randint(20, 90))
            number += 1

    def _scene(self, session: int, number: int, at: datetime) -> Scene:
        turn = stable_id(self._id, "turn", session, number)
        return Scene(self._random, self._split, self._supply, at.date(), turn, self._new_memory)

    def _new_memory(self) -> UUID:
        self._memories += 1
        return stable_id(self._id, "memory", self._memories)

    def _speak(self, scene: Scene, speaker: str, other: str, number: int) -> _Spoken:
        if self._forced:
            return self._follow_up(scene, speaker, other)
        if number < 2:
            return self._greet(scene, other, is_first=number == 0)
        if self._random.random() >= self._options.telling:
            return self._chat(scene, speaker, other)
        opening = self._chatter.opening(other, self._told_last(other), is_asked=self._was_asked())
        spoken = _Spoken(opening)
        self._tell(scene, speaker, spoken)
        if spoken.said and self._forced is None and self._random.random() < self._options.twofold:
            self._tell(scene, speaker, spoken, is_second=True)
        if not spoken.said:
            return self._chat(scene, speaker, other)
        if self._forced is None:
            spoken.texts += self._chatter.closing(other, spoken.said[-1].mood, spoken.said[-1].noun)
        return spoken

    def _tell(self, scene: Scene, speaker: str, spoken: _Spoken, *, is_second: bool = False) -> None:
        touched = {said.memory for said in spoken.said}
        choices = [
            (topic, move, weight * (self._options.doings if topic.family == "doing" else 1))
            for topic in self._topics[speaker]
            if topic.memory is None or topic.memory not in touched
            for move, weight in topic.moves(scene).items()
            if not (is_second and move == "anon")
        ]
        if not any(weight for _, _, weight in choices):
            return
        topic, move, _ = self._random.choices(choices, [weight for _, _, weight in choices])[0]
        said = self._applicable(topic, move, scene)
        if said is None:
            return
        if is_second:
            other = next(one for one in self._speakers if one != speaker)
            spoken.texts.append(self._chatter.say("also", other))
            said = replace(said, then=None)
        spoken.texts.append(said.say)
        spoken.said.append(said)
        self._touch(topic, scene)
        if said.then:
            self._forced = (speaker, topic, said)
        if topic.family in REPEATABLE and move in ("plan", "tell"):
            self._topics[speaker].append(FAMILIES[topic.family](topic.family, speaker))
        if topic.is_over:
            self._topics[speaker].remove(topic)

    def _applicable(self, topic: Topic, move: str, scene: Scene) -> Said | None:
        """What is said, or None, and nothing has changed, where the checks on operations would refuse what is right."""
        # A new memory is never refused, so there is nothing to go back to.
        before = {} if topic.memory is None else copy.deepcopy(vars(topic))
        said = _with_mood(topic.family, move, topic.make(move, scene))
        if said.kind in (OperationKind.ADD, OperationKind.NOOP):
            return said
        fact = Fact(text=wording.joined(topic.owner, said.what))
        operation = Operation(kind=said.kind, fact=1, memory=1, text=said.text)
        turn = Turn(id=scene.turn, speaker=topic.owner, text=said.say, said_at=_EPOCH)
        planned = plan([operation], [fact], [self._bank[said.memory]], turn, uuid4)
        if planned.rejected or len(planned.log) > 1 or planned.log[0].verdict is not Verdict.APPLIED:
            vars(topic).update(before)
            return None
        return said

    def _follow_up(self, scene: Scene, speaker: str, other: str) -> _Spoken:
        """The other one asks, and then the one who told answers in few words."""
        if self._forced is None:
            raise ValueError("nothing is to be followed up")
        owner, topic, said = self._forced
        if speaker != owner and said.then:
            line = scene.line(said.then)
            opening = [self._chatter.reaction(other, self._heard[owner])] if self._random.random() < 0.4 else []
            return _Spoken([*opening, wording.fill(line.say, said.slots)])
        self._forced = None
        answer = self._applicable(topic, "named" if topic.family == "pet" else "detail", scene)
        if answer is None:
            return self._chat(scene, speaker, other)
        self._touch(topic, scene)
        return _Spoken([answer.say], [answer])

    def _greet(self, scene: Scene, other: str, *, is_first: bool) -> _Spoken:
        texts = [self._chatter.say("greet" if is_first else "greeted", other)]
        return _Spoken(texts if is_first else [*texts, self._chatter.say("probe", other)])

    def _chat(self, scene: Scene, speaker: str, other: str) -> _Spoken:
        """Words that hold no fact, also with a name that is known."""
        pets = [
            item.name
            for topic in self._topics[other]
            if isinstance(topic, Collection) and topic.family == "pet"
            for item in topic.items
            if item.is_named
        ]
        if pets and self._random.random() < 0.15:
            return _Spoken([wording.fill(scene.line("talk.pet").say, {"name": self._random.choice(pets)})])
        own = self._heard.get(speaker)
        return _Spoken(self._chatter.chat(other, self._told_last(other), own, is_asked=self._was_asked()))

    def _told_last(self, other: str) -> Heard | None:
        """What the other one has just told."""
        is_told = bool(self._turns and self._turns[-1].facts and self._turns[-1].turn.speaker == other)
        return self._heard[other] if is_told else None

    def _was_asked(self) -> bool:
        return bool(self._turns) and self._turns[-1].turn.text.endswith("?")

    # Writing down

    def _write(self, scene: Scene, spoken: _Spoken, speaker: str, session: int, number: int, at: datetime) -> None:
        turn = Turn(
            id=scene.turn,
            speaker=speaker,
            text=" ".join(spoken.texts),
            said_at=at,
            session=str(session),
            external_id=f"D{session}:{number + 1}",
        )
        facts = tuple(
            SaidFact(who=speaker, what=said.what, text=wording.joined(speaker, said.what)) for said in spoken.said
        )
        operations = tuple(
            RightOperation(
                kind=said.kind,
                fact=place,
                memory=said.memory,
                text=said.text if said.kind is OperationKind.UPDATE else None,
            )
            for place, said in enumerate(spoken.said, start=1)
        )
        self._turns.append(SimulatedTurn(turn=turn, facts=facts, operations=operations))
        if spoken.said:
            self._heard[speaker] = Heard(speaker, spoken.said[-1].noun, spoken.said[-1].mood)
        for operation in operations:
            apply_right(self._bank, operation, facts[operation.fact - 1], turn)

    # Questions

    def _touch(self, topic: Topic, scene: Scene) -> None:
        """What is asked about a topic holds until the topic is spoken of again."""
        heard = len(self._turns) + 1
        for question in self._standing.pop(topic, []):
            question.until = heard
        for asked in topic.asked(scene):
            self._open(topic, _Open(asked, heard))
        if isinstance(topic, Doing) and topic.group:
            key = (topic.owner, topic.group)
            group = self._groups.setdefault(key, Group(topic.owner, self._split, topic.group))
            if topic not in group.doings:
                group.doings.append(topic)
            self._touch(group, scene)

    def _open(self, topic: Topic, question: _Open) -> None:
        self._questions.append((topic, question))
        self._standing.setdefault(topic, []).append(question)

    def _ask_what_nobody_told(self) -> None:
        for speaker in self._speakers:
            untold = [topic for topic in self._topics[speaker] if topic.family not in REPEATABLE]
            for topic in self._random.sample(untold, min(self._options.unanswerable, len(untold))):
                kind = "list" if isinstance(topic, Collection) else "current"
                ways = wording.lines(self._split, f"{topic.family}?{kind}")
                # No draw where there is no choice, so that conversations stay what they were.
                form = self._random.choice(ways) if len(ways) > 1 else ways[0]
                text = wording.fill(form.say, {"who": speaker, "kinds": TOGETHER.get(topic.family, "")})
                asked = Asked("untold", text, "", ())
                self._open(topic, _Open(asked, 0))
            for _ in range(self._options.unanswerable // 2):
                self._ask_what_nobody_did(speaker)

    def _ask_what_nobody_did(self, speaker: str) -> None:
        topic = Doing("doing", speaker)
        scene = self._scene(0, 0, _EPOCH)
        if asked := topic.untold(scene):
            self._open(topic, _Open(asked, 0))

    def _written_questions(self) -> tuple[Question, ...]:
        return tuple(
            Question(
                id=f"{self._id}-q{number}",
                text=question.asked.text,
                answer=question.asked.answer,
                category=f"{topic.family}?{question.asked.kind}",
                evidence=question.asked.evidence,
                since=question.since,
                until=question.until,
            )
            for number, (topic, question) in enumerate(self._questions, start=1)
            if question.until is None or question.until > question.since
        )


_MOODS = {
    "event.plan": "fond",
    "event.cancel": "sad",
    "pet.get": "living",
    "pet.named": "living",
    "pet.lose": "sad",
    "place.get": "glad",
    "thing.get": "fond",
    "skill.get": "fond",
    "pain.is": "sad",
    "pain.over": "glad",
}
_NOUNS = {"event.plan": "the", "pet.get": "name", "pet.lose": "name", "thing.get": "kind", "skill.get": "kind"}


def _with_mood(family: str, move: str, said: Said) -> Said:
    """A saying of the families that do not tell it themselves, with how it sounds and what it is about."""
    key = f"{family}.{move}"
    if family == "doing" or key not in _MOODS:
        return said
    noun = said.slots.get(_NOUNS.get(key, ""), "")
    return replace(said, mood=_MOODS[key], noun=f"my {noun}" if noun and key in ("thing.get", "skill.get") else noun)
