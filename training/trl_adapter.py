"""Training by TRL: supervised, GRPO, and PPO. TRL's names are known here and in the other `trl_*` modules alone.

TRL is pinned exactly, since parts of it that it does not promise to keep are built on: see `trl_rollouts`, `trl_ppo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from transformers import PrinterCallback, ProgressCallback, set_seed
from trl import GRPOConfig, SFTConfig, SFTTrainer

from training import models, run_folder
from training.config import Grpo, Logo, Policy, Ppo, Sft, TrainingConfig, Updates, Vllm
from training.engine import Row, Stop, Task, Trained, TrajectoryTask, UnfitConfiguration, never
from training.metrics_log import FILE, MetricsLog
from training.shared_prefill import share_prefix
from training.trl_callbacks import Rounds
from training.trl_logo import LogoTrainer
from training.trl_ppo import PpoTrainer
from training.trl_quiet import Local, quiet
from training.trl_rollouts import RolloutTrainer, reward_function, score_reply_tokens_alone
from training.trl_vllm_adapter import check_server, sampling


class TrlTrainer:
    """The engine for tests on a processor, and for one machine with GPUs."""

    def sft(
        self, config: TrainingConfig, task: Task, out_dir: Path, *, resume: bool = False, stop: Stop = never
    ) -> Trained:
        if config.sft is None:
            raise UnfitConfiguration("The configuration has no section sft.")
        checkpoint = _checkpoint(config, "sft", out_dir, resume)
        with quiet():
            trainer = _sft_trainer(config, config.sft, task, out_dir)
            return _run(trainer, config, config.sft, 1, out_dir, checkpoint, stop)

    def grpo(
        self, config: TrainingConfig, task: Task, out_dir: Path, *, resume: bool = False, stop: Stop = never
    ) -> Trained:
        if config.grpo is None:
            raise UnfitConfiguration("The configuration has no section grpo.")
        return _learn_from_rewards(config, config.grpo, "grpo", task, out_dir, resume, stop)

    def ppo(
        self, config: TrainingConfig, task: Task, out_dir: Path, *, resume: bool = False, stop: Stop = never
    ) -> Trained:
        if config.ppo is None:
            raise UnfitConfiguration("The configuration has no section ppo.")
        return _learn_from_rewards(config, config.ppo, "ppo", task, out_dir, resume, stop)

    def logo(
        self,
        config: TrainingConfig,
        task: TrajectoryTask[Any],
        out_dir: Path,
        *,
        resume: bool = False,
        stop: Stop = never,
    ) -> Trained:
        if config.logo is None:
            raise UnfitConfiguration("The configuration has no section logo.")
        refuse_what_cannot_run(config)
        _refuse_processes_that_wait_for_each_other(config.logo, config.rollout.vllm)
        checkpoint = _checkpoint(config, "logo", out_dir, resume)
        with quiet():
            trainer = _logo_trainer(config, config.logo, task, out_dir)
            with sampling(trainer, config, out_dir):
                return _run(trainer, config, config.logo, config.logo.updates_per_round, out_dir, checkpoint, stop)


def _learn_from_rewards(
    config: TrainingConfig, method: Policy, name: str, task: Task, out_dir: Path, resume: bool, stop: Stop
) -> Trained:
    refuse_what_cannot_run(config)
    checkpoint = _checkpoint(config, name, out_dir, resume)
    with quiet():
        trainer = _policy_trainer(config, method, task, out_dir)
        with sampling(trainer, config, out_dir):
            return _run(trainer, config, method, method.updates_per_round, out_dir, checkpoint, stop)


def _checkpoint(config: TrainingConfig, method: str, out_dir: Path, resume: bool) -> Path | None:
    """What to go on from. The first process makes or checks the folder; the others come when it is there."""
    processes = _processes()
    with processes.main_process_first():
        if processes.is_main_process:
            return run_folder.start(out_dir, config, method, resume)
        return run_folder.last_checkpoint(out_dir) if resume else None


def refuse_what_cannot_run(config: TrainingConfig) -> None:
    """Raise `UnfitConfiguration` where vLLM is asked for and cannot get the weights."""
    vllm = config.rollout.vllm
    if vllm is None:
        return
    if config.rollout.constrained:
        raise UnfitConfiguration("rollout.constrained is for the trainer's own model: leave rollout.vllm out.")
    if vllm.mode == "adapter":
        return check_server(config, vllm)
    if not torch.cuda.is_available():
        raise UnfitConfiguration("Sampling by vLLM needs a GPU: weights reach it by NCCL. Leave rollout.vllm out.")
    if find_spec("vllm") is None:
        raise UnfitConfiguration("Sampling by vLLM needs the package vllm beside the trainer, in its client's version.")


def _run(
    trainer: Any,
    config: TrainingConfig,
    updates: Updates,
    per_round: int,
    out_dir: Path,
    checkpoint: Path | None,
    stop: Stop,
) -> Trained:
    done = int(checkpoint.name.rpartition("-")[2]) // per_round if checkpoint else 0
    metrics = MetricsLog(out_dir, after_round=done, tensorboard=config.log.tensorboard) if _is_first(trainer) else None
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(
        Rounds(
            out_dir,
            config.log,
            metrics,
            updates_per_round=per_round,
            rounds=updates.rounds,
            agreed_stop=lambda: _any_process(trainer, stop()),
            sampled=getattr(trainer, "samples", None),
        )
    )
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        if metrics:
            metrics.close()
    trainer.save_model(str(out_dir / "model"))
    if _is_first(trainer):
        # A pickle of the engine's own arguments.
        (out_dir / "model" / "training_args.bin").unlink(missing_ok=True)
    rounds = trainer.state.global_step // per_round
    return Trained(out_dir / "model", out_dir / FILE, rounds, rounds >= updates.rounds)


def _is_first(trainer: Any) -> bool:
    return bool(trainer.accelerator.is_main_process)


def _any_process(trainer: Any, stopped: bool) -> bool:
    """All processes stop after the same round."""
    accelerator = trainer.accelerator
    told = torch.tensor(float(stopped), device=accelerator.device)
    return bool(accelerator.reduce(told, reduction="sum").item() > 0)


class _SftTrainer(Local, SFTTrainer):  # type: ignore[misc]
    """TRL's, as it is."""


def _sft_trainer(config: TrainingConfig, sft: Sft, task: Task, out_dir: Path) -> Any:
    set_seed(config.seed)
    reader = models.tokenizer(config.model)
    examples = [(models.prompt_tokens(reader, row), models.target_tokens(reader, row)) for row in task.rows]
    lengths = [len(prompt) + len(target) for prompt, target in examples]
    kept = _short_enough(config, task.rows, lengths, sft.max_tokens)
    order = models.in_order(kept, sft.rounds * sft.batch, config.seed)
    # Tokens and labels are ready: prompts are rendered as in sampling, and nothing after the end mark is learned.
    data = Dataset.from_list([_example(*examples[place]) for place in order])
    score_reply_tokens_alone()
    options = _common(config, sft, out_dir, updates_per_round=1)
    processes = _processes().num_processes
    if sft.batch % (sft.micro_batch * processes):
        raise UnfitConfiguration(f"A batch of {sft.batch} does not divide by {processes} processes.")
    arguments = SFTConfig(
        **options,
        gradient_accumulation_steps=sft.batch // (sft.micro_batch * processes),
        max_steps=sft.rounds,
        max_length=None,
        train_sampling_strategy="sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    model = models.policy(config.model)
    if sft.shared_prefix:
        share_prefix(model)
    return _SftTrainer(
        model=model,
        args=arguments,
        train_dataset=data,
        processing_class=reader,
        peft_config=models.new_adapter(config.model, model),
    )


def _example(prompt: list[int], target: list[int]) -> dict[str, list[int]]:
    return {"input_ids": prompt + target, "labels": [-100] * len(prompt) + target}


def _policy_trainer(config: TrainingConfig, method: Policy, task: Task, out_dir: Path) -> RolloutTrainer:
    set_seed(config.seed)
    reader = models.tokenizer(config.model)
    rows, rollout = task.rows, config.rollout
    lengths = [len(models.prompt_tokens(reader, row)) for row in rows]
    kept = _short_enough(config, rows, lengths, rollout.max_prompt_tokens)
    order = models.in_order(kept, method.rounds * rollout.prompts, config.seed)
    marks = reader.all_special_tokens
    # Rows stay outside: the table form of the data set would mangle what a task keeps in them.
    data = Dataset.from_list([{"prompt": models.as_chat(rows[place], marks), "row": place} for place in order])
    score_reply_tokens_alone()
    arguments = GRPOConfig(**_policy_arguments(config, method, out_dir))
    model = models.policy(config.model)
    if method.shared_prefix:
        share_prefix(model)
    options: dict[str, Any] = {
        "rows": rows,
        "share_prefill": rollout.shared_prefill and rollout.vllm is None,
        "constrained": rollout.constrained,
        # Replies to one prompt have most in common. Where they are one step's, their order makes no difference.
        "keep_groups": method.shared_prefix and method.minibatches == 1,
        "model": model,
        "args": arguments,
        "train_dataset": data,
        "processing_class": reader,
        "peft_config": models.new_adapter(config.model, model),
        "reward_funcs": reward_function(task, rows, reader, rollout.reward_concurrency),
    }
    if isinstance(method, Ppo):
        if arguments.fsdp or arguments.deepspeed:
            raise UnfitConfiguration("PPO keeps the critic whole on each device; it runs without FSDP and DeepSpeed.")
        return PpoTrainer(critic=models.Critic(config.model), ppo=method, **options)
    return RolloutTrainer(**options)


def _logo_trainer(config: TrainingConfig, logo: Logo, task: TrajectoryTask[Any], out_dir: Path) -> LogoTrainer:
    set_seed(config.seed)
    score_reply_tokens_alone()
    arguments = GRPOConfig(**_policy_arguments(config, logo, out_dir))
    if _processes().num_processes > 1 and (arguments.fsdp or arguments.deepspeed):
        raise UnfitConfiguration("LoGo samples on each process for itself; it runs without FSDP and DeepSpeed.")
    model = models.policy(config.model)
    if logo.shared_prefix:
        share_prefix(model)
    return LogoTrainer(
        task=task,
        config=config,
        share_prefill=config.rollout.shared_prefill and config.rollout.vllm is None,
        constrained=config.rollout.constrained,
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": str(number)} for number in range(logo.rounds)]),
        processing_class=models.tokenizer(config.model),
        peft_config=models.new_adapter(config.model, model),
    )


def _refuse_processes_that_wait_for_each_other(logo: Logo, vllm: Vllm | None) -> None:
    """Trajectories differ in length, so that processes do not sample equally often."""
    processes = _processes().num_processes
    if logo.conversations % processes:
        raise UnfitConfiguration(f"{logo.conversations} conversations a round do not divide by {processes} processes.")
    if processes > 1 and vllm and (vllm.mode == "server" or vllm.tensor_parallel > 1):
        raise UnfitConfiguration("LoGo on several processes needs a vLLM of its own for each: colocate, one GPU each.")


def _short_enough(config: TrainingConfig, rows: Sequence[Row], lengths: Sequence[int], most: int) -> list[int]:
    """The places of the rows that fit. Raises `UnfitConfiguration` for those that do not, unless they may go."""
    long = [place for place, length in enumerate(lengths) if length > most]
    if long and config.rollout.long_prompts == "refuse":
        worst = max(long, key=lambda place: lengths[place])
        raise UnfitConfiguration(
            f"{len(long)} of {len(rows)} rows have more than {most} tokens; {rows[worst].id} has {lengths[worst]}."
        )
    return [place for place, length in enumerate(lengths) if length <= most]


def _processes() -> PartialState:
    # Without the argument, processes on processors do not find each other, and each takes itself for the only one.
    return PartialState(cpu=not torch.cuda.is_available())


def _policy_arguments(config: TrainingConfig, method: Policy, out_dir: Path) -> dict[str, Any]:
    rollout, processes, size = config.rollout, _processes().num_processes, config.rows_of(method)
    per_pass, rest = divmod(size, method.micro_batch * processes)
    if rest or per_pass % method.minibatches:
        raise UnfitConfiguration(
            f"{size} replies do not divide into {method.minibatches} minibatches on {processes} processes "
            f"with micro-batches of {method.micro_batch}."
        )
    arguments = _common(config, method, out_dir, method.updates_per_round) | {
        "gradient_accumulation_steps": per_pass // method.minibatches,
        "steps_per_generation": per_pass,
        "max_steps": method.rounds * method.updates_per_round,
        # A round of LoGo is one row of its data set.
        "num_generations": size if isinstance(method, Logo) else rollout.replies,
        "num_iterations": method.passes,
        "max_completion_length": rollout.max_reply_tokens,
        "temperature": rollout.temperature,
        "top_p": rollout.top_p,
        "top_k": 0,
        "epsilon": method.clip,
        "epsilon_high": method.clip_high,
        "beta": method.kl,
        "mask_truncated_completions": method.leave_out_cut_off,
        "loss_type": method.loss if isinstance(method, Grpo) else "dapo",
        "scale_rewards": method.scale if isinstance(method, Grpo) else "none",
        "shuffle_dataset": False,
    }
    if isinstance(method, Logo):
        turn = method.level == "turn"
        arguments |= {
            "loss_type": "grpo" if turn else "dapo",
            "importance_sampling_level": "sequence" if turn else "token",
            "entropy_coef": method.entropy,
        }
    return arguments | (_vllm_arguments(rollout.vllm) if rollout.vllm else {})


def _vllm_arguments(vllm: Vllm) -> dict[str, Any]:
    correction = {
        "vllm_importance_sampling_correction": vllm.correction is not None,
        "vllm_importance_sampling_mode": vllm.correction or "sequence_mask",
        "vllm_importance_sampling_clip_max": vllm.correction_cap,
    }
    if vllm.mode == "adapter":
        return correction
    return correction | {
        "use_vllm": True,
        "vllm_mode": vllm.mode,
        "vllm_server_base_url": vllm.url if vllm.mode == "server" else None,
        "vllm_group_port": vllm.group_port,
        "vllm_server_timeout": vllm.timeout_seconds,
        "vllm_gpu_memory_utilization": vllm.memory_share,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_enable_sleep_mode": vllm.sleep_between,
    }


def _common(config: TrainingConfig, updates: Updates, out_dir: Path, updates_per_round: int) -> dict[str, Any]:
    return {
        "output_dir": str(out_dir),
        "seed": config.seed,
        "data_seed": config.seed,
        "per_device_train_batch_size": updates.micro_batch,
        "learning_rate": updates.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if updates.schedule == "constant" else updates.schedule,
        "warmup_steps": updates.warmup_updates,
        "weight_decay": updates.weight_decay,
        "max_grad_norm": updates.max_gradient_norm,
        "bf16": models.computes_in_bfloat16(config.model),
        "gradient_checkpointing": config.model.gradient_checkpointing,
        # One line of metrics, and a chance of a checkpoint, a round.
        "logging_steps": updates_per_round,
        "save_steps": config.checkpoints.every * updates_per_round,
        "save_total_limit": config.checkpoints.keep,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
