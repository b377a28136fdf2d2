"""Several decisions one after the other as an agent loop of verl, each with a prompt of its own.

Imported by verl's processes alone, by name. Every decision is a sample; the reward at the end is given to the last,
and verl copies it, and the group's advantage, to the others.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

from training.engine import TrajectoryTask, UnfitConfiguration
from training.verl_adapter import built, scored


class TrajectoryLoop(AgentLoopBase):  # type: ignore[misc]
    """Plays one trajectory."""

    def __init__(self, *arguments_: Any, function: str, arguments: str, **options: Any) -> None:
        super().__init__(*arguments_, **options)
        self._task: TrajectoryTask[Any] = built(function, arguments)

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> list[AgentLoopOutput]:
        """Raises `NotScored` where the trajectory could not be scored; its group is then left out."""
        start = row["extra_info"]
        position = await self._task.start(int(start["index"]), int(start["decisions"]), int(start["draw"]))
        outputs: list[AgentLoopOutput] = []
        while position.row is not None:
            prompt = self._prompt(position.row)
            if prompt is None:
                break
            said = await self.server_manager.generate(
                request_id=uuid4().hex, prompt_ids=prompt, sampling_params=sampling_params
            )
            outputs.append(self._output(prompt, said))
            text = self.tokenizer.decode(outputs[-1].response_ids, skip_special_tokens=True)
            position = await self._task.decide(position, text)
        if not outputs:
            raise UnfitConfiguration(f"The first prompt of {start['id']} is too long.")
        numbers = scored(await self._task.reward_at_end(position), str(start["id"]))
        outputs[-1].reward_score = numbers["score"]
        outputs[-1].extra_fields["reward_extra_info"] = numbers
        return outputs

    def _prompt(self, row: Any) -> list[int] | None:
        """None for one that is too long, where the trajectory ends."""
        from training import models

        prompt = models.prompt_tokens(self.tokenizer, row)
        return prompt if len(prompt) <= self.rollout_config.prompt_length else None

    def _output(self, prompt: list[int], said: Any) -> AgentLoopOutput:
        ids = list(said.token_ids)[: self.rollout_config.response_length]
        return AgentLoopOutput(
            prompt_ids=prompt,
            response_ids=ids,
            response_mask=[1] * len(ids),
            response_logprobs=list(said.log_probs)[: len(ids)] if said.log_probs else None,
            num_turns=2,
            metrics=AgentLoopMetrics(),
            extra_fields=dict(said.extra_fields) | {"turn_scores": [], "tool_rewards": []},
        )
