"""PPO on TRL's GRPO trainer, which takes an advantage for each token: a critic gives them.

TRL itself has no PPO any more. Sampling, ratio, clipping, divergence, accumulation and checkpoints stay TRL's; what is
added is the critic with its loss, its place in the optimizer and in checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from training import advantages
from training.config import Ppo
from training.models import Critic
from training.trl_rollouts import RolloutTrainer

CRITIC = "critic.pt"


class PpoTrainer(RolloutTrainer):
    """A policy and its critic, trained together."""

    by_group = False

    def __init__(self, *, critic: Critic, ppo: Ppo, **options: Any) -> None:
        super().__init__(**options)
        self.critic = critic.to(self.accelerator.device).train()
        self._ppo = ppo
        self.add_callback(_CriticUpkeep(self))

    def create_optimizer(self, model: Any = None) -> Any:
        optimizer = super().create_optimizer(model)
        learned = [weight for weight in self.critic.parameters() if weight.requires_grad]
        optimizer.add_param_group({"params": learned, "lr": self._ppo.critic_learning_rate, "weight_decay": 0.0})
        return optimizer

    def _calculate_rewards(self, *arguments: Any) -> Tensor:
        rewards = super()._calculate_rewards(*arguments)
        self._rewards_of_all = rewards[:, 0]
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        made = super()._generate_and_score_completions(inputs)
        own = slice(self.accelerator.process_index * len(inputs), (self.accelerator.process_index + 1) * len(inputs))
        rewards = self._rewards_of_all[own]
        scored = ~rewards.isnan()
        mask = made["completion_mask"].bool() & scored[:, None]
        with torch.no_grad():
            values = torch.cat([self._values(part) for part in _parts(made, self.args.per_device_train_batch_size)])
        given = advantages.rewards_at_the_end(rewards.nan_to_num(), mask)
        gains, returns = advantages.gae(given, values, mask, self._ppo.discount, self._ppo.gae_lambda)
        if self._ppo.whiten:
            moments = self.accelerator.reduce(advantages.masked_moments(gains, mask), reduction="sum")
            gains = advantages.whitened(gains, mask, moments)
        self._count("value_mean", values[mask].mean())
        self._count("explained_variance", advantages.explained_variance(values, returns, mask))
        return made | {"advantages": gains, "old_values": values, "returns": returns, "value_mask": mask}

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        policy_loss: Tensor = super()._compute_loss(model, inputs)
        losses = advantages.value_losses(
            self._values(inputs), inputs["old_values"], inputs["returns"], self._ppo.value_clip
        )
        # All tokens of an optimizer step weigh the same, as in the policy's loss.
        tokens = inputs["num_items_in_batch"].clamp(min=1) / self.accelerator.num_processes
        share = self.current_gradient_accumulation_steps / self.args.steps_per_generation
        value_loss: Tensor = (losses * inputs["value_mask"]).sum() / (tokens * share)
        self._count("value_loss", value_loss.detach() * self.current_gradient_accumulation_steps)
        return policy_loss + self._ppo.value_weight * value_loss

    def _values(self, inputs: dict[str, Tensor]) -> Tensor:
        """(replies, tokens): the value before each token of the reply is said."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        with self.accelerator.autocast():
            values: Tensor = self.critic(ids, mask)
        return values[:, -inputs["completion_ids"].shape[1] - 1 : -1]

    def _count(self, name: str, value: Tensor | float) -> None:
        seen = torch.as_tensor(value, dtype=torch.float32, device=self.accelerator.device)
        self._metrics["train"][name].append(self.accelerator.gather(seen).nanmean().item())

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            torch.save(self.critic.learned(), Path(output_dir) / CRITIC)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        known = torch.load(Path(checkpoint) / CRITIC, map_location="cpu", weights_only=True)
        missing, unknown = self.critic.load_state_dict(known, strict=False)
        if unknown or set(missing) & set(self.critic.learned()):
            raise ValueError(f"the critic of {checkpoint} has other weights than this one")


class _CriticUpkeep(TrainerCallback):
    """The Trainer averages, clips and forgets the gradients of its own model alone; the same for the critic."""

    def __init__(self, trainer: PpoTrainer) -> None:
        self._trainer = trainer

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer = self._trainer
        learned = [weight for weight in trainer.critic.parameters() if weight.requires_grad]
        for weight in learned:
            if weight.grad is not None:
                weight.grad = trainer.accelerator.reduce(weight.grad, reduction="mean")
        norm = torch.nn.utils.clip_grad_norm_(learned, args.max_grad_norm)
        trainer._count("critic_gradient_norm", norm)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._trainer.critic.zero_grad()


def _parts(made: dict[str, Tensor], size: int) -> list[dict[str, Tensor]]:
    """Micro-batches of what the critic reads."""
    names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")
    count = len(made["prompt_ids"])
    return [{name: made[name][at : at + size] for name in names} for at in range(0, count, size)]
