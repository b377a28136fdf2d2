"""`memory-r1 demo`, the first thing that a user sees."""

from __future__ import annotations

import json
import signal
from importlib.resources import files
from pathlib import Path

from tests.e2e.processes import Workplace

SCRIPT = json.loads((files("app.demo") / "conversation.json").read_text(encoding="utf-8"))


def test_the_demo_shows_every_turn_the_bank_and_every_answer_and_can_be_run_again(
    workplace: Workplace, small_model_dir: Path
) -> None:
    workplace.share_model(small_model_dir)
    with workplace.started("demo") as demo:
        demo.wait_for(r"\d+ s for 11 turns and 5 questions")
        assert demo.process.wait(120) == 0
        shown = demo.printed()
    assert not workplace.processes()
    assert "Traceback" not in shown
    assert len(SCRIPT["turns"]) == 11
    places = [shown.index(turn["text"]) for turn in SCRIPT["turns"]]
    places += [shown.index("What the bank remembers")]
    places += [shown.index(f"? {question}\n") for question in SCRIPT["questions"]]
    assert places == sorted(places)
    assert len(SCRIPT["questions"]) == 5

    with workplace.started("demo") as again:
        again.wait_for("A conversation, turn by turn")
        assert again.end(signal.SIGINT) == 0
        assert "Traceback" not in again.printed()
    assert not workplace.processes()
