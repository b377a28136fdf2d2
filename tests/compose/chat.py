"""A chatbot's backend that posts turns whatever happens to the service, and what must have become of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import httpx

from tests.compose.engine import PATIENCE_SECONDS, Failed

BANKS = ("ann", "ben", "cleo")
THINGS = "lamp chair kettle canoe violin carpet ladder mirror bicycle camera".split()
POSTED_AGAIN = 5
"""Each so many-th turn is sent twice, as by a client that did not see its response."""
PAUSE_SECONDS = 0.4
TOLERATED = frozenset({429, 503})
Json = dict[str, Any]


class Chat(threading.Thread):
    """Posts one turn after the other, each until its 202 was read."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(daemon=True)
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)
        self._ending = threading.Event()
        self.acknowledged: dict[str, list[str]] = {bank: [] for bank in BANKS}
        """Markers by bank, in order."""
        self.refusals: Counter[int | str] = Counter()
        self.failure: str | None = None

    def run(self) -> None:
        number = 0
        while not self._ending.is_set() and self.failure is None:
            number += 1
            bank = BANKS[number % len(BANKS)]
            marker = f"K{number:05d}"
            text = f"I bought the {THINGS[number % len(THINGS)]} {marker}."
            turn = {"speaker": bank.title(), "text": text, "said_at": "2026-05-04T12:00:00Z", "external_id": marker}
            for _ in range(2 if number % POSTED_AGAIN == 0 else 1):
                self._post(bank, {"turns": [turn]})
            self.acknowledged[bank].append(marker)
            self._ending.wait(PAUSE_SECONDS)

    def acknowledgements(self) -> int:
        """How many turns were acknowledged until now."""
        return sum(map(len, self.acknowledged.values()))

    def end(self) -> int:
        """Stop posting once the last turn is acknowledged; how many were."""
        self._ending.set()
        self.join(PATIENCE_SECONDS)
        if self.is_alive():
            raise Failed("the last turn was not acknowledged")
        if self.failure:
            raise Failed(self.failure)
        return self.acknowledgements()

    def _post(self, bank: str, body: Json) -> None:
        while self.failure is None:
            try:
                status = self._http.post(f"/v1/banks/{bank}/turns", json=body).status_code
            except httpx.TransportError as error:
                self.refusals[type(error).__name__] += 1
                time.sleep(PAUSE_SECONDS)
                continue
            if status == 202:
                return
            self.refusals[status] += 1
            if status not in TOLERATED:
                self.failure = f"posting a turn was answered {status}"
            time.sleep(PAUSE_SECONDS)


class Reader:
    """What the service says about its banks."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)

    def is_ready(self) -> bool:
        try:
            return self._http.get("/v1/health/ready").is_success
        except httpx.TransportError:
            return False

    def waiting(self) -> int:
        """Turns that are not done yet."""
        return sum(turn["state"] != "done" for bank in BANKS for turn in self._all(bank, "turns"))

    def is_done(self, bank: str, external_id: str) -> bool:
        return any(turn["external_id"] == external_id and turn["state"] == "done" for turn in self._all(bank, "turns"))

    def whole(self) -> dict[str, dict[str, list[Json]]]:
        """Everything of all banks."""
        names = ("turns", "memories", "operations")
        return {bank: {name: self._all(bank, name) for name in names} for bank in BANKS}

    def ask(self, bank: str, question: str) -> Json:
        response = self._sent("POST", f"/v1/banks/{bank}/answer", json={"question": question})
        if not response.is_success:
            raise Failed(f"a question was answered {response.status_code}")
        found: Json = response.json()
        return found

    def _all(self, bank: str, name: str) -> list[Json]:
        found: list[Json] = []
        parameters = {"limit": "200"}
        while True:
            response = self._sent("GET", f"/v1/banks/{bank}/{name}", params=parameters)
            if not response.is_success:
                raise Failed(f"listing {name} was answered {response.status_code}")
            page = response.json()
            found += page[name]
            if page["next_cursor"] is None:
                return found
            parameters["cursor"] = page["next_cursor"]

    def _sent(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As a client sends it: again, where the service could not be reached or asked for patience."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise Failed(f"{method} {path}: {type(error).__name__}: {error}") from error
            else:
                if response.status_code not in TOLERATED or time.monotonic() > deadline:
                    return response
            time.sleep(PAUSE_SECONDS)


def check(acknowledged: dict[str, list[str]], banks: dict[str, dict[str, list[Json]]]) -> None:
    """Every acknowledged turn is there once, in order, and became one memory by one operation. Raises `Failed`."""
    for bank, markers in acknowledged.items():
        stored = [turn["external_id"] for turn in banks[bank]["turns"]]
        if stored != markers:
            lost, more = set(markers) - set(stored), Counter(stored) - Counter(markers)
            raise Failed(f"bank {bank}: lost {sorted(lost)}, too many {dict(more)}, or out of order")
        texts = " ".join(memory["text"] for memory in banks[bank]["memories"])
        remembered = Counter(word.strip(".") for word in texts.split() if word.startswith("K"))
        if remembered != Counter(markers):
            lost, more = set(markers) - set(remembered), remembered - Counter(markers)
            raise Failed(f"bank {bank}: memories lost {sorted(lost)}, twice {dict(more)}")
        numbers = sorted(line["number"] for line in banks[bank]["operations"])
        if numbers != list(range(1, len(numbers) + 1)):
            raise Failed(f"bank {bank}: the log has gaps: {numbers}")
        applied = [line for line in banks[bank]["operations"] if line["kind"] == "ADD" and line["verdict"] == "applied"]
        if len(applied) != len(markers):
            raise Failed(f"bank {bank}: {len(applied)} ADDs for {len(markers)} turns")
