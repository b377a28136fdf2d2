"""What is said beside facts: greetings, reactions to what was told, remarks, wishes and questions back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

from training.simulator import wording
from training.simulator.doings import second
from training.simulator.pools import Split
from training.simulator.wording import Line


@dataclass(frozen=True)
class Heard:
    """What was told last, as far as one may come back to it."""

    speaker: str
    noun: str = ""
    """As the one who told it would call it: "my painting"."""
    mood: str = ""
    """"glad", "fond" (nothing of it is over), "living" (a being came), "sad", or empty."""

    @property
    def sound(self) -> str:
        """How one reacts to it."""
        return "glad" if self.mood in ("fond", "living") else self.mood


class Chatter:
    """Sentences that hold no fact; `you` is the one spoken to."""

    def __init__(self, random: Random, split: Split) -> None:
        self._random, self._split = random, split
        self._recent: deque[Line] = deque(maxlen=12)

    def say(self, kind: str, you: str, noun: str = "") -> str:
        """One line of a kind, such as "small" or "noun_ask"."""
        ways = wording.lines(self._split, f"talk.{kind}")
        line = self._random.choice([way for way in ways if way not in self._recent] or ways)
        self._recent.append(line)
        said = wording.fill(line.say, {"you": you, "noun": noun})
        return said[:1].upper() + said[1:]

    def opening(self, you: str, heard: Heard | None, *, is_asked: bool) -> list[str]:
        """What goes before something told: a reaction, an answer to a question, or a filler."""
        found = []
        if heard and self._random.random() < 0.55:
            found.append(self.reaction(you, heard))
        elif is_asked and self._random.random() < 0.25:
            found.append(self.say("answer", you))
        if self._random.random() < 0.3:
            found.append(self.say("filler", you))
        return found

    def closing(self, you: str, mood: str, noun: str) -> list[str]:
        """What goes after something told: a remark, a photo, a question back."""
        found = []
        if self._random.random() < 0.45:
            found.append(self.say("remark" if mood in ("", "fond") else f"remark_{mood}", you))
        if mood == "glad" and self._random.random() < 0.1:
            is_named = noun and self._random.random() < 0.4
            found.append(self.say("photo_noun", you, noun) if is_named else self.say("photo", you))
        if self._random.random() < 0.35:
            found.append(self.say("probe", you))
        return found

    def reaction(self, you: str, heard: Heard) -> str:
        """A reaction to what `you` told, with its name where that is known."""
        if heard.noun and heard.sound and self._random.random() < 0.5:
            return self.say(f"noun_{heard.sound}", you, second(heard.noun))
        return self.say(f"react_{heard.sound}" if heard.sound else "react", you)

    def chat(self, you: str, heard: Heard | None, own: Heard | None, *, is_asked: bool) -> list[str]:
        """A turn without a fact, from a few words to several sentences."""
        length = self._random.choice((1, 1, 2, 2, 3, 3, 4))
        found = [self.reaction(you, heard)] if heard else [self.say("answer", you)] if is_asked else []
        if own and own.noun and own.mood == "glad" and self._random.random() < 0.15:
            found.append(self.say("photo_noun", you, own.noun))
        kinds = ["encourage", "small"] if heard and heard.mood else ["small", "small", "small"]
        self._random.shuffle(kinds)
        while len(found) < length and kinds:
            found.append(self.say(kinds.pop(), you))
        if heard and heard.noun and heard.mood == "glad" and self._random.random() < 0.4:
            found.append(self.say("noun_ask", you, second(heard.noun)))
        elif self._random.random() < 0.4 or not found:
            found.append(self.say("probe", you))
        return list(dict.fromkeys(found))
