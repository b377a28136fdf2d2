"""Sampling by a vLLM over HTTP that is given the adapter anew before each round; on a processor as on a GPU.

TRL's own ways to a vLLM send all weights by NCCL. An adapter is small: it is written into the run's folder, and the
server reads it from there. The server must have been started on the same base with `--enable-lora`, a `--max-lora-rank`
that is large enough, `--logprobs-mode processed_logprobs`, and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`. Of an adapter
on layers that its `--lora-target-modules` leaves out, it uses the rest without a word: `sampler_difference` grows.

On a processor, vLLM 0.32 computes rows without an adapter as if they had that of the rows beside them. A run samples
and scores in turns, so that its own frozen agents may be on the same server; nobody else may ask it meanwhile.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import torch
from accelerate import PartialState

from training.config import Rollout, TrainingConfig, Vllm
from training.engine import TrainingError, UnfitConfiguration

FOLDER = "sampler"
"""In the run's folder; holds the adapter that the server has, and is gone after the run."""
CALLS_AT_ONCE = 64
PROBE = "Which dog did Carol adopt?"
PROBE_TOKENS, PROBE_TEMPERATURE = 16, 2.0
MAX_DIFFERENCE = 0.5
"""Of log-probabilities, in the mean over the probe's tokens; ten times what bfloat16 makes of float32."""
_START = (
    "start it with --enable-lora, --logprobs-mode processed_logprobs and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True "
    "in its environment"
)


@dataclass(frozen=True)
class Sampled:
    """A reply: its tokens, the end mark included, and the log-probability that each was sampled with."""

    ids: list[int]
    logprobs: list[float]


class VllmServer:
    """The calls of vLLM's HTTP API that are needed. Raises `TrainingError`, in one line and without prompts."""

    def __init__(self, vllm: Vllm) -> None:
        base = vllm.url.rstrip("/").removesuffix("/v1")
        self.name = f"The vLLM at {base}"
        self._client = openai.OpenAI(base_url=f"{base}/v1", api_key="none", timeout=vllm.timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def longest(self) -> int | None:
        """Tokens of a prompt and its reply together, where the server tells."""
        with self._one_line(tell=True):
            client = self._client.with_options(max_retries=0)
            cards = client.get("/models", cast_to=httpx.Response).json()["data"]
            known = [card["max_model_len"] for card in cards if card.get("max_model_len")]
            return int(known[0]) if known else None

    def takes_adapters(self) -> bool:
        """Asked without an adapter, a server that loads them complains, and another does not know the call."""
        with self._one_line(tell=True):
            try:
                self._post("/load_lora_adapter", {"lora_name": "", "lora_path": ""}, retries=0)
            except openai.NotFoundError:
                return False
            except openai.APIStatusError:
                pass
            return True

    def load(self, name: str, folder: Path) -> None:
        """Read an adapter from a folder."""
        with self._one_line(tell=True):
            self._post("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)}, retries=0)

    def unload(self, name: str) -> None:
        """Forget an adapter, if the server is there and knows it."""
        with suppress(openai.OpenAIError):
            self._post("/unload_lora_adapter", {"lora_name": name}, retries=0)

    def complete(self, asked: dict[str, Any], *, tell: bool = False) -> list[Sampled]:
        """The replies to one prompt. `tell`: an error may have the server's own words in it."""
        with self._one_line(tell):
            choices = self._post("/completions", asked).json()["choices"]
            replies = [
                Sampled(choice["token_ids"], choice["logprobs"]["token_logprobs"])
                for choice in sorted(choices, key=lambda choice: int(choice["index"]))
            ]
            if len(replies) != asked["n"] or not all(map(_whole, replies)):
                raise ValueError
            return replies

    def _post(self, path: str, body: dict[str, Any], *, retries: int = 2) -> httpx.Response:
        return self._client.with_options(max_retries=retries).post(path, body=body, cast_to=httpx.Response)

    @contextmanager
    def _one_line(self, tell: bool) -> Iterator[None]:
        try:
            yield
        except openai.APITimeoutError as error:
            raise TrainingError(f"{self.name} did not answer in time.") from error
        except openai.APIConnectionError as error:
            raise TrainingError(f"{self.name} cannot be reached.") from error
        except openai.APIStatusError as error:
            reason = f": {_reason(error)}" if tell else ""
            raise TrainingError(f"{self.name} answered with status {error.status_code}{reason}.") from error
        except (ValueError, LookupError, TypeError) as error:
            raise TrainingError(f"{self.name} answered in an unknown form.") from error


def _whole(reply: Sampled) -> bool:
    return 0 < len(reply.ids) == len(reply.logprobs) and None not in reply.logprobs


def _reason(error: openai.APIStatusError) -> str:
    said = error.body if isinstance(error.body, dict) else {}
    message = str(said.get("message") or (said.get("error") or {}).get("message") or "no reason given")
    return " ".join(message.split())[:300].rstrip(".")


def check_server(config: TrainingConfig, vllm: Vllm) -> None:
    """Raise `UnfitConfiguration` for what can be told before a model is loaded."""
    if config.model.lora is None and config.model.start_adapter is None:
        raise UnfitConfiguration("rollout.vllm.mode = adapter hands over an adapter: set model.lora, or leave it out.")
    if PartialState(cpu=not torch.cuda.is_available()).num_processes > 1:
        raise UnfitConfiguration("rollout.vllm.mode = adapter is for one process.")
    server = VllmServer(vllm)
    try:
        longest, takes_adapters = server.longest(), server.takes_adapters()
    except TrainingError as error:
        raise UnfitConfiguration(str(error)) from error
    finally:
        server.close()
    if not takes_adapters:
        raise UnfitConfiguration(f"{server.name} does not load adapters: {_START}.")
    wanted = config.rollout.max_prompt_tokens + config.rollout.max_reply_tokens
    if longest is not None and wanted > longest:
        raise UnfitConfiguration(f"{server.name} takes {longest} tokens; prompt and reply may have {wanted} here.")


class AdapterSampler:
    """In the place of TRL's `VLLMGeneration`: TRL calls `sync_weights` when the model has changed, then `generate`.

    Each request has a seed of its own, made from the run's seed, the step and the prompt's place, so that a resumed run
    asks for the same draws. Its replies are the same as far as vLLM's numbers are: the requests that happen to share a
    batch can change them in the last digits, and so a token. Hence resuming changes nothing but for that.
    """

    def __init__(self, trainer: Any, rollout: Rollout, seed: int, vllm: Vllm, folder: Path) -> None:
        self._trainer, self._rollout, self._seed, self._folder = trainer, rollout, seed, folder.resolve()
        self._server = VllmServer(vllm)
        # Another run's name on the same server, and that of this run before it was killed, are other adapters.
        self._run = uuid.uuid4().hex[:12]
        self._loads = self._calls = 0
        self._loaded: str | None = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def sync_weights(self) -> None:
        """Give the server the adapter as it is now.

        Under a new name in a new folder: vLLM 0.32 finds what it has cached of a prompt by these two, whatever the
        weights, and reads an adapter that was loaded with `load_inplace` from its folder again in each step.
        """
        self._loads += 1
        self._calls = 0
        name = f"training-{self._run}-{self._loads}"
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        model.save_pretrained(str(self._folder / name), selected_adapters=["default"], save_embedding_layers=False)
        self._server.load(name, self._folder / name)
        self._forget()
        self._loaded = name

    def generate(
        self,
        prompts: Sequence[list[int]],
        images: object,
        num_generations: int,
        profiler: AbstractContextManager[Any] | None = None,
    ) -> tuple[Sequence[list[int]], list[list[int]], list[list[list[float]]], None]:
        """The prompts, of which each comes repeated; tokens of the replies; a list of one log-probability for each."""
        step, self._calls = f"{self._trainer.state.global_step}/{self._calls}", self._calls + 1
        asked = [
            self._asking(prompt, num_generations, _seed(f"{self._seed}/{step}/{place}"))
            for place, prompt in enumerate(prompts[::num_generations])
        ]
        with profiler or nullcontext(), ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
            replies = [reply for several in threads.map(self._server.complete, asked) for reply in several]
        logprobs = [[[logprob] for logprob in reply.logprobs] for reply in replies]
        return prompts, [reply.ids for reply in replies], logprobs, None

    def _asking(self, prompt: Sequence[int], count: int, seed: int) -> dict[str, Any]:
        """A request. What the server would else take from the model's own generation settings is set as TRL has it."""
        return {
            "model": self._loaded,
            "prompt": list(prompt),
            "n": count,
            "seed": seed,
            "max_tokens": self._rollout.max_reply_tokens,
            "temperature": self._rollout.temperature,
            "top_p": self._rollout.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": self._trainer.eos_token_ids,
            "logprobs": 0,
            "return_token_ids": True,
        }

    def check_model(self) -> None:
        """Raise `UnfitConfiguration` where the server does not tell the log-probabilities of the trainer's model."""
        prompt: list[int] = self._trainer.processing_class(PROBE)["input_ids"]
        probe = {"max_tokens": PROBE_TOKENS, "temperature": PROBE_TEMPERATURE, "top_p": 1.0, "ignore_eos": True}
        asked = self._asking(prompt, 1, _seed(str(self._seed))) | probe | {"stop_token_ids": []}
        (said,) = self._server.complete(asked, tell=True)
        unlike = f"{self._server.name} has another base than the model that is trained"
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        if max(said.ids) >= model.get_input_embeddings().num_embeddings:
            raise UnfitConfiguration(f"{unlike}: its vocabulary is larger.")
        logits = self._logits(model, prompt, said.ids)
        processed, raw = (_difference(logits / temperature, said) for temperature in (PROBE_TEMPERATURE, 1.0))
        if raw < processed:
            raise UnfitConfiguration(f"{self._server.name} tells raw log-probabilities: {_START}.")
        if processed > MAX_DIFFERENCE:
            raise UnfitConfiguration(f"{unlike}: log-probabilities differ by {processed:.2f} in the mean.")

    def _logits(self, model: Any, prompt: list[int], reply: list[int]) -> torch.Tensor:
        """(tokens of the reply, vocabulary), in float32."""
        training = model.training
        model.eval()
        with torch.no_grad(), self._trainer.accelerator.autocast():
            found: torch.Tensor = model(torch.tensor([prompt + reply], device=model.device)).logits
        model.train(training)
        return found[0, len(prompt) - 1 : -1].float()

    def _forget(self) -> None:
        if self._loaded is not None:
            self._server.unload(self._loaded)
            shutil.rmtree(self._folder / self._loaded, ignore_errors=True)
            self._loaded = None

    def close(self) -> None:
        """Leave nothing on the server and in the run's folder."""
        self._forget()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._server.close()


@contextmanager
def sampling(trainer: Any, config: TrainingConfig, out_dir: Path) -> Iterator[None]:
    """Within it a GRPO trainer samples as `rollout.vllm` says, if by an adapter that is handed over; then as TRL does.

    Raises `UnfitConfiguration` before the first round where the server and the model do not fit.
    """
    vllm = config.rollout.vllm
    if vllm is None or vllm.mode != "adapter":
        yield
        return
    sampler = AdapterSampler(trainer, config.rollout, config.seed, vllm, out_dir / FOLDER)
    try:
        _first_check(sampler)
        # Told to its constructor, TRL would make its own sampler; told now, it takes this one, and corrects for it.
        trainer.use_vllm, trainer.vllm_generation, trainer._last_loaded_step = True, sampler, -1
        yield
    finally:
        sampler.close()


def _first_check(sampler: AdapterSampler) -> None:
    try:
        sampler.sync_weights()
        sampler.check_model()
    except UnfitConfiguration:
        raise
    except TrainingError as error:
        raise UnfitConfiguration(str(error)) from error


def _seed(name: str) -> int:
    """Far from that of any other name: vLLM adds a reply's place to it."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())


def _difference(logits: torch.Tensor, said: Sampled) -> float:
    places = torch.tensor(said.ids, device=logits.device)[:, None]
    own = logits.log_softmax(dim=-1).gather(1, places)[:, 0].cpu()
    return (own - torch.tensor(said.logprobs)).abs().mean().item()
