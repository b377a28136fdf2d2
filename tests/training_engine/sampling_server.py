"""A server that samples by a tiny model with the adapters that it is given, as vLLM does with `--enable-lora`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.llm.scripted import Reply, ScriptedServer, fails
from tests.local.adapters import merged


class SamplingServer(ScriptedServer):
    """Remembers what it was given and asked."""

    def __init__(self, base: Path) -> None:
        super().__init__(max_context=5000)
        self.base, self.processed, self.max_rank, self.skew = base, True, 16, 0.0
        self.fails_after: int | None = None
        """Requests that are answered, of all."""
        self.adapters = {}
        self.given: list[dict[str, Tensor]] = []
        """The weights of each adapter that was loaded."""
        self.asked: list[dict[str, Any]] = []
        self._models: dict[str, Any] = {}

    async def _respond(self, head: str, body: bytes, reader: asyncio.StreamReader) -> Reply:
        match head.split(" ")[:2]:
            case ["GET", "/v1/models"]:
                return _json({"data": [{"id": self.model, "max_model_len": self.max_context}]})
            case ["POST", "/v1/unload_lora_adapter"] if self.adapters is not None:
                del self.adapters[json.loads(body)["lora_name"]]
                return Reply(body=b"Success")
            case ["POST", "/v1/completions"]:
                return self._sample(json.loads(body))
        return await super()._respond(head, body, reader)

    def _load(self, wanted: dict[str, str], adapters: dict[str, str]) -> Reply:
        if not wanted["lora_name"] or not wanted["lora_path"]:
            return fails(400, "Both 'lora_name' and 'lora_path' must be provided.")
        loaded = super()._load(wanted, adapters)
        if loaded.status != 200:
            return loaded
        folder = Path(wanted["lora_path"])
        rank = json.loads((folder / "adapter_config.json").read_bytes())["r"]
        if rank > self.max_rank:
            return fails(500, f"LoRA rank {rank} is greater than max_lora_rank {self.max_rank}.")
        self.given.append(load_file(folder / "adapter_model.safetensors"))
        self._models[wanted["lora_name"]] = merged(self.base, folder).eval()
        return loaded

    def _sample(self, asked: dict[str, Any]) -> Reply:
        self.asked.append(asked)
        if self.fails_after is not None and len(self.asked) > self.fails_after:
            return Reply(status=500, headers={"x-should-retry": "false"}, body=b"{}")
        if asked["model"] not in (self.adapters or {}):
            return fails(404, "The model does not exist.")
        choices = [self._one(asked, number) for number in range(asked["n"])]
        # The order is not promised.
        return _json({"choices": choices[::-1]})

    @torch.inference_mode()
    def _one(self, asked: dict[str, Any], number: int) -> dict[str, Any]:
        chance = torch.Generator().manual_seed(asked["seed"] + number)
        said, logprobs = list[int](), list[float]()
        while len(said) < asked["max_tokens"]:
            model = self._models[asked["model"]]
            logits = model(torch.tensor([asked["prompt"] + said])).logits[0, -1].float()
            processed = (logits / asked["temperature"]).log_softmax(dim=-1)
            token = int(torch.multinomial(processed.exp(), 1, generator=chance))
            told = processed if self.processed else logits.log_softmax(dim=-1)
            said.append(token)
            logprobs.append(float(told[token]) + self.skew)
            if token in asked["stop_token_ids"] and not asked.get("ignore_eos"):
                break
        return {"index": number, "token_ids": said, "logprobs": {"token_logprobs": logprobs}}


def _json(value: object) -> Reply:
    return Reply(body=json.dumps(value).encode())
