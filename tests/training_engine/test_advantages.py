"""GAE and its neighbours, by hand and against the definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training import advantages


def test_gae_by_hand() -> None:
    """One reply of three tokens and one of two; the reward comes at the last token."""
    mask = torch.tensor([[True, True, True], [True, True, False]])
    values = torch.tensor([[0.5, 0.25, 1.0], [0.2, 0.4, 9.0]])
    rewards = advantages.rewards_at_the_end(torch.tensor([1.0, 0.0]), mask)
    assert rewards.tolist() == [[0, 0, 1], [0, 0, 0]]
    gains, returns = advantages.gae(rewards, values, mask, 0.9, 0.5)
    # Surprises of the first: 0.9*0.25-0.5, 0.9*1-0.25, 1-1; of the second: 0.9*0.4-0.2, -0.4.
    first = [-0.275 + 0.45 * 0.65, 0.65, 0.0]
    second = [0.16 + 0.45 * -0.4, -0.4, 0.0]
    torch.testing.assert_close(gains, torch.tensor([first, second]))
    torch.testing.assert_close(returns, torch.tensor([[first[0] + 0.5, 0.9, 1.0], [second[0] + 0.2, 0.0, 0.0]]))


def test_with_lambda_and_discount_1_the_advantage_is_the_reward_less_the_value() -> None:
    mask = torch.tensor([[True, True, True]])
    values = torch.tensor([[0.1, 0.7, 0.3]])
    gains, returns = advantages.gae(torch.tensor([[0.0, 0.0, 1.0]]), values, mask, 1.0, 1.0)
    torch.testing.assert_close(gains, 1 - values)
    torch.testing.assert_close(returns, torch.ones(1, 3))


def by_definition(rewards: list[float], values: list[float], discount: float, gae_lambda: float) -> list[float]:
    """Sum over l of (discount * lambda)^l times the surprise l tokens later, for each token on its own."""
    after = [*values[1:], 0.0][: len(values)]
    surprises = [r + discount * v - own for r, v, own in zip(rewards, after, values, strict=True)]
    return [
        sum((discount * gae_lambda) ** ahead * surprise for ahead, surprise in enumerate(surprises[t:]))
        for t in range(len(values))
    ]


numbers = st.floats(-3, 3, width=32)
shares = st.floats(0.0, 1.0, width=32)


@given(st.lists(st.lists(st.tuples(numbers, numbers), max_size=7), min_size=1, max_size=4), shares, shares)
def test_gae_is_what_its_definition_says(
    replies: list[list[tuple[float, float]]], discount: float, gae_lambda: float
) -> None:
    width = max(1, max(map(len, replies)))
    rewards, values, mask = torch.zeros(3, len(replies), width, dtype=torch.float64).unbind()
    for row, reply in enumerate(replies):
        mask[row, : len(reply)] = 1
        # What lies behind the end of a reply must not matter.
        values[row] = 99
        for t, (reward, value) in enumerate(reply):
            rewards[row, t], values[row, t] = reward, value
    gains, returns = advantages.gae(rewards, values, mask.bool(), discount, gae_lambda)
    for row, reply in enumerate(replies):
        right = by_definition([r for r, _ in reply], [v for _, v in reply], discount, gae_lambda)
        assert gains[row].tolist() == pytest.approx(right + [0.0] * (width - len(reply)), abs=1e-9)
        known = [gain + value for gain, (_, value) in zip(right, reply, strict=True)]
        assert returns[row].tolist() == pytest.approx(known + [0.0] * (width - len(reply)), abs=1e-9)


def test_whitening_looks_at_the_mask_alone() -> None:
    gains = torch.tensor([[1.0, 3.0, 100.0], [5.0, -100.0, 100.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    # Mean 3 and unbiased variance 4.
    torch.testing.assert_close(advantages.whitened(gains, mask), torch.tensor([[-1.0, 0, 0], [1.0, 0, 0]]))


def test_moments_of_two_processes_add_up() -> None:
    gains, mask = torch.randn(6, 5), torch.rand(6, 5) > 0.4
    parts = [advantages.masked_moments(gains[part], mask[part]) for part in (slice(0, 2), slice(2, 6))]
    whole = advantages.whitened(gains, mask)
    torch.testing.assert_close(advantages.whitened(gains, mask, torch.stack(parts).sum(dim=0)), whole)


@pytest.mark.parametrize("count", [0, 1])
def test_whitening_bears_next_to_nothing(count: int) -> None:
    mask = torch.zeros(1, 3, dtype=torch.bool)
    mask[0, :count] = True
    assert advantages.whitened(torch.ones(1, 3), mask).isfinite().all()


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (0.1, 0.5 * 0.9**2),  # within the clip
        (0.9, 0.5 * 0.8**2),  # moved too far towards the return: held at 0.2
        (-0.9, 0.5 * 1.9**2),  # moved away from it: the larger error counts
    ],
)
def test_a_value_may_not_move_far_from_the_old_one(value: float, right: float) -> None:
    loss = advantages.value_losses(torch.tensor([value]), torch.zeros(1), torch.ones(1), 0.2)
    assert loss.item() == pytest.approx(right)


def test_explained_variance() -> None:
    mask = torch.tensor([[True, True, True, False]])
    returns = torch.tensor([[0.0, 1.0, 2.0, 50.0]])
    assert advantages.explained_variance(returns, returns, mask) == 1
    assert advantages.explained_variance(torch.ones(1, 4), returns, mask) == pytest.approx(0)
    assert advantages.explained_variance(-returns, returns, mask) == pytest.approx(-3)
    constant: Tensor = torch.ones(1, 4)
    assert math.isnan(advantages.explained_variance(returns, constant, mask))


def test_group_relative_advantages_by_hand() -> None:
    nan = float("nan")
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, nan, nan], [nan] * 4, [2.0, nan, nan, 4.0]])
    plain = torch.tensor([[0.75, -0.25, -0.25, -0.25], [0.0] * 4, [0.0] * 4, [-1.0, 0.0, 0.0, 1.0]])
    torch.testing.assert_close(advantages.group_relative(rewards, scale=False), plain)
    # One of four: the deviation is sqrt((9 + 3) / 16 / 3) = 0.5; of 2 and 4 it is sqrt(2).
    deviations = torch.tensor([[0.5], [1.0], [1.0], [math.sqrt(2)]])
    torch.testing.assert_close(advantages.group_relative(rewards, scale=True), plain / (deviations + 1e-4))
