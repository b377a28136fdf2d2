"""A configuration in the settings of verl 0.9.1's trainer. Knows their names, and needs no verl.

What verl has no setting for is refused: a run that would silently differ from its configuration is worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from training.config import Grpo, Logo, Model, Policy, Ppo, TrainingConfig, Verl
from training.engine import UnfitConfiguration

Settings = str | float | bool | None | Sequence[str]

_ACTOR, _ROLLOUT, _MODEL = "actor_rollout_ref.actor", "actor_rollout_ref.rollout", "actor_rollout_ref.model"
_AVERAGES = {"dapo": "token-mean", "grpo": "seq-mean-token-mean", "dr_grpo": "seq-mean-token-sum-norm"}
_HELD = {"float32": "fp32", "bfloat16": "bf16", "auto": "bf16"}


def overrides(config: TrainingConfig, method: Policy, folder: Path, *, resume: bool) -> dict[str, Settings]:
    """verl's settings by name; a plus sign marks those that its files do not list. Raises `UnfitConfiguration`."""
    verl = config.verl
    if verl is None:
        raise UnfitConfiguration("The configuration has no section verl.")
    _refuse(config, method, verl)
    return (
        _data(config)
        | _model(config.model, _MODEL)
        | _actor(config, method, verl)
        | _rollout(config, method, verl)
        | _algorithm(method, verl)
        | (_critic(config, method, verl) if isinstance(method, Ppo) else {})
        | _trainer(config, method, verl, folder, resume)
    )


def _refuse(config: TrainingConfig, method: Policy, verl: Verl) -> None:
    lora = config.model.lora
    faults = {
        "LoGo-GRPO: verl compares whole trajectories alone (grpo)": isinstance(method, Logo),
        "leave_out_cut_off": method.leave_out_cut_off,
        "the loss bnpo": isinstance(method, Grpo) and method.loss == "bnpo",
        "scale = batch": isinstance(method, Grpo) and method.scale == "batch",
        "PPO without whitened advantages": isinstance(method, Ppo) and not method.whiten,
        "a linear schedule": method.schedule == "linear",
        "a revision of the model": config.model.revision is not None,
        "the packaged model": config.model.name == "packaged",
        "dropout in an adapter": lora is not None and lora.dropout > 0,
        "constrained replies": config.rollout.constrained,
        "an adapter on the upper blocks alone": lora is not None and lora.first_layer > 0,
    }
    if missing := [fault for fault, there in faults.items() if there]:
        raise UnfitConfiguration(f"verl has no setting for {'; '.join(missing)}.")
    replies, prompts = config.rollout.size, config.rollout.prompts
    if prompts % method.minibatches or replies % (method.minibatches * verl.gpus * method.micro_batch):
        raise UnfitConfiguration(
            f"{prompts} prompts of {config.rollout.replies} replies do not divide into {method.minibatches} "
            f"minibatches on {verl.gpus} GPUs with micro-batches of {method.micro_batch}."
        )


def _data(config: TrainingConfig) -> dict[str, Settings]:
    rollout = config.rollout
    return {
        "data.train_batch_size": rollout.prompts,
        "data.max_prompt_length": rollout.max_prompt_tokens,
        "data.max_response_length": rollout.max_reply_tokens,
        # The rows are in their order already, and none is too long.
        "data.shuffle": False,
        "data.seed": config.seed,
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
    }


def _model(model: Model, at: str) -> dict[str, Settings]:
    settings: dict[str, Settings] = {
        f"{at}.path": model.name,
        f"{at}.enable_gradient_checkpointing": model.gradient_checkpointing,
        f"+{at}.override_config.attn_implementation": model.attention,
        # Sequences without padding need flash attention.
        f"{at}.use_remove_padding": model.attention == "flash_attention_2",
    }
    if model.start_adapter:
        known = json.loads((model.start_adapter / "adapter_config.json").read_text(encoding="utf-8"))
        settings |= {f"{at}.lora_rank": known["r"], f"{at}.lora_alpha": known["lora_alpha"]}
        settings |= {f"{at}.lora_adapter_path": str(model.start_adapter.absolute())}
    elif model.lora:
        settings |= {f"{at}.lora_rank": model.lora.rank, f"{at}.lora_alpha": model.lora.alpha}
        settings |= {f"{at}.target_modules": model.lora.modules}
    return settings


def _optimizer(method: Policy, at: str, learning_rate: float) -> dict[str, Settings]:
    return {
        f"{at}.optim.lr": learning_rate,
        f"{at}.optim.weight_decay": method.weight_decay,
        f"{at}.optim.lr_warmup_steps": method.warmup_updates,
        f"{at}.optim.lr_scheduler_type": method.schedule,
        f"{at}.optim.clip_grad": method.max_gradient_norm,
        f"{at}.grad_clip": method.max_gradient_norm,
    }


def _engine(model: Model, verl: Verl, at: str, seed: int) -> dict[str, Settings]:
    return {
        f"{at}.model_dtype": _HELD[model.dtype],
        f"{at}.param_offload": verl.offload,
        f"{at}.optimizer_offload": verl.offload,
        f"{at}.seed": seed,
    }


def _actor(config: TrainingConfig, method: Policy, verl: Verl) -> dict[str, Settings]:
    high = method.clip if method.clip_high is None else method.clip_high
    loss = method.loss if isinstance(method, Grpo) else "dapo"
    settings: dict[str, Settings] = {
        f"{_ACTOR}.strategy": "fsdp2",
        # Counted in prompts; verl itself multiplies by the replies to each.
        f"{_ACTOR}.ppo_mini_batch_size": config.rollout.prompts // method.minibatches,
        f"{_ACTOR}.ppo_micro_batch_size_per_gpu": method.micro_batch,
        f"{_ACTOR}.ppo_epochs": method.passes,
        f"{_ACTOR}.clip_ratio": method.clip,
        f"{_ACTOR}.clip_ratio_low": method.clip,
        f"{_ACTOR}.clip_ratio_high": high,
        f"{_ACTOR}.loss_agg_mode": _AVERAGES[loss],
        f"{_ACTOR}.use_kl_loss": method.kl > 0,
        f"{_ACTOR}.kl_loss_coef": method.kl,
        f"{_ACTOR}.kl_loss_type": "low_var_kl",
        f"{_ACTOR}.data_loader_seed": config.seed,
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": method.micro_batch,
    }
    optimizer = _optimizer(method, _ACTOR, method.learning_rate)
    return settings | optimizer | _engine(config.model, verl, f"{_ACTOR}.fsdp_config", config.seed)


def _rollout(config: TrainingConfig, method: Policy, verl: Verl) -> dict[str, Settings]:
    rollout = config.rollout
    settings: dict[str, Settings] = {
        f"{_ROLLOUT}.name": "vllm",
        f"{_ROLLOUT}.n": rollout.replies,
        f"{_ROLLOUT}.temperature": rollout.temperature,
        f"{_ROLLOUT}.top_p": rollout.top_p,
        f"{_ROLLOUT}.seed": config.seed,
        f"{_ROLLOUT}.tensor_model_parallel_size": verl.tensor_parallel,
        f"{_ROLLOUT}.gpu_memory_utilization": verl.memory_share,
        f"{_ROLLOUT}.max_model_len": rollout.max_prompt_tokens + rollout.max_reply_tokens,
        f"{_ROLLOUT}.log_prob_micro_batch_size_per_gpu": method.micro_batch,
        f"{_ROLLOUT}.agent.num_workers": verl.agent_workers,
        "reward.num_workers": verl.reward_workers,
    }
    if config.model.lora or config.model.start_adapter:
        # The base is read by vLLM itself; only the adapter is sent to it.
        settings[f"{_ROLLOUT}.load_format"] = "safetensors"
    return settings


def _algorithm(method: Policy, verl: Verl) -> dict[str, Settings]:
    correction = "algorithm.rollout_correction"
    return {
        "algorithm.adv_estimator": "gae" if isinstance(method, Ppo) else "grpo",
        "algorithm.gamma": method.discount if isinstance(method, Ppo) else 1.0,
        "algorithm.lam": method.gae_lambda if isinstance(method, Ppo) else 1.0,
        "algorithm.norm_adv_by_std_in_grpo": isinstance(method, Grpo) and method.scale == "group",
        "algorithm.use_kl_in_reward": False,
        f"{correction}.rollout_is": verl.correction.partition("_")[0] if verl.correction else None,
        f"{correction}.rollout_is_threshold": verl.correction_cap,
    }


def _critic(config: TrainingConfig, method: Ppo, verl: Verl) -> dict[str, Settings]:
    # An adapter to go on from is the policy's; the critic gets a new one of its size.
    settings = _model(config.model, "critic.model")
    settings.pop("critic.model.lora_adapter_path", None)
    return (
        settings
        | {
            "critic.strategy": "fsdp2",
            "critic.ppo_micro_batch_size_per_gpu": method.micro_batch,
            "critic.cliprange_value": method.value_clip,
            "critic.data_loader_seed": config.seed,
            "trainer.critic_warmup": verl.critic_warmup,
        }
        | _optimizer(method, "critic", method.critic_learning_rate)
        | _engine(config.model, verl, "critic.fsdp", config.seed)
    )


def _trainer(config: TrainingConfig, method: Policy, verl: Verl, folder: Path, resume: bool) -> dict[str, Settings]:
    settings: dict[str, Settings] = {
        "trainer.nnodes": verl.nodes,
        "trainer.n_gpus_per_node": verl.gpus_per_node,
        "trainer.total_epochs": 1,
        "trainer.total_training_steps": method.rounds,
        "trainer.save_freq": config.checkpoints.every,
        "trainer.max_actor_ckpt_to_keep": config.checkpoints.keep,
        "trainer.max_critic_ckpt_to_keep": config.checkpoints.keep,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
        "trainer.logger": ["console", "file", *(["tensorboard"] if config.log.tensorboard else [])],
        "trainer.project_name": "memory-r1",
        "trainer.experiment_name": folder.name,
        "trainer.default_local_dir": str(folder / "checkpoints"),
        "trainer.rollout_data_dir": str(folder / "samples") if config.log.samples else None,
        "trainer.resume_mode": "auto" if resume else "disable",
        # In place of a folder `outputs` where it is started.
        "hydra.run.dir": str(folder / "hydra"),
    }
    if verl.ray_address:
        settings["+ray_kwargs.ray_init.address"] = verl.ray_address
    return settings
