"""The arithmetic of advantages. Tensors are of shape (replies, tokens) where nothing else is said, and masks are True
where a token is the policy's own."""

from __future__ import annotations

import torch
from torch import Tensor


def rewards_at_the_end(rewards: Tensor, mask: Tensor) -> Tensor:
    """(replies, tokens): each reply's reward at its last token. Masks are one run from the first token on."""
    lengths = mask.sum(dim=1)
    spread = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
    rows = torch.arange(len(mask), device=mask.device)[lengths > 0]
    spread[rows, lengths[rows] - 1] = rewards[rows].float()
    return spread


def gae(rewards: Tensor, values: Tensor, mask: Tensor, discount: float, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """Advantages and returns, 0 outside the mask. After a reply's last token nothing follows: its value is 0."""
    advantages = torch.zeros_like(values)
    following, ahead = torch.zeros_like(values[:, 0]), torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        surprise = rewards[:, t] + discount * following - values[:, t]
        inside = mask[:, t].bool()
        ahead = torch.where(inside, surprise + discount * gae_lambda * ahead, ahead)
        following = torch.where(inside, values[:, t], following)
        advantages[:, t] = ahead
    return advantages * mask, (advantages + values) * mask


def whitened(advantages: Tensor, mask: Tensor, moments: Tensor | None = None) -> Tensor:
    """Mean 0 and variance 1 over the mask; `moments` are those of all processes together."""
    count, total, squares = masked_moments(advantages, mask) if moments is None else moments
    mean = total / count.clamp(min=1)
    variance = (squares / count.clamp(min=1) - mean.square()).clamp(min=0) * count / (count - 1).clamp(min=1)
    even: Tensor = (advantages - mean) * torch.rsqrt(variance + 1e-8) * mask
    return even.to(advantages.dtype)


def masked_moments(values: Tensor, mask: Tensor) -> Tensor:
    """Count, sum and sum of squares over the mask; of several processes they can be added up."""
    # In float64: the variance is a difference of two large numbers.
    inside = values.double() * mask
    return torch.stack([mask.sum().double(), inside.sum(), inside.square().sum()])


def value_losses(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the squared error per token, or that of the value held within `clip` of the old one if it is larger."""
    held = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns).square(), (held - returns).square())


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 for a critic that is always right, 0 for one that knows no more than the mean, less than 0 if it misleads."""
    inside = mask.bool()
    spread = returns[inside].var(correction=0)
    if spread < 1e-8:
        return float("nan")
    return float(1 - (returns[inside] - values[inside]).var(correction=0) / spread)


def group_relative(rewards: Tensor, *, scale: bool) -> Tensor:
    """(groups, members): each reward less its group's mean, over the group's standard deviation if `scale`.

    NaN is a member that could not be scored: it is in no mean, and its advantage is 0.
    """
    known = ~rewards.isnan()
    count = known.sum(dim=1, keepdim=True)
    mean = rewards.nan_to_num().sum(dim=1, keepdim=True) / count.clamp(min=1)
    gains = (rewards - mean).nan_to_num() * known
    if not scale:
        return gains
    deviation = (gains.square().sum(dim=1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
    return gains / (deviation + 1e-4)
