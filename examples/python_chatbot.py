"""A chatbot that remembers across restarts: tell it things, ask it questions, end it, and ask again.

Start the service with `memory-r1 serve --local`, then `pip install ./sdk/python`, `python examples/python_chatbot.py`.
"""

from __future__ import annotations

import os
import sys

from memory_r1_client import Bank, MemoryR1, MemoryR1Error, problems


def reply(bank: Bank, said: str) -> None:
    """Answer a question word by word, and remember everything else."""
    if not said.endswith("?"):
        bank.remember(said, speaker="User", wait=True)
        print("I will remember that.")
        return
    try:
        for event in bank.stream_answer(said):
            if event.event == "token":
                print(event.data.text, end="", flush=True)
            elif event.event == "done":
                print("You have not told me." if event.data.abstained else "")
    except problems.UnknownBank:
        print("You have not told me anything yet.")


def main() -> None:
    url, user = os.environ.get("MEMORY_R1_URL", "http://127.0.0.1:8080"), os.environ.get("CHAT_USER", "me")
    with MemoryR1(url, os.environ.get("MEMORY_R1_KEY")) as memory:
        print("> ", end="", flush=True)
        for line in sys.stdin:
            try:
                reply(memory.bank(user), line.strip() or "?")
            except MemoryR1Error as error:
                print(f"That did not work: {error}")
            print("> ", end="", flush=True)


if __name__ == "__main__":
    main()
