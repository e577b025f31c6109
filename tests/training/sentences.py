"""A GRU(1) that learns sentences: many seeds at once, with PyTorch."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch

SEEDS, STEPS, RATE, BATCH, SIZE, DIGITS = 24, 2500, 0.03, 256, 3, 3
"""A word has SIZE numbers; they and the weights are rounded to DIGITS decimals, and measured so."""


def read(sentences: Sequence[str], numbers: Mapping[str, int], trained: Mapping[str, Any]) -> Any:
    """Return what each seed's GRU returns at the last word of each sentence, (seeds, sentences).

    numbers: the row of each word in `words` of trained (seeds, words, SIZE); its other arrays are Keras's.
    """
    rows = [torch.tensor([numbers[word] for word in sentence.split()]) for sentence in sentences]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
    bias, recurrent = trained["bias"][:, :, None], trained["recurrent_kernel"]
    inside = trained["words"][:, ids] @ trained["kernel"][:, None] + bias[:, :1]
    state = torch.zeros(*inside.shape[:2], 1)
    for t in range(ids.shape[1]):
        update, reset, candidate = inside[:, :, t].chunk(3, -1)
        before = (state @ recurrent + bias[:, 1]).chunk(3, -1)
        update = torch.sigmoid(update + before[0])
        candidate = torch.tanh(candidate + torch.sigmoid(reset + before[1]) * before[2])
        state = torch.where((ids[:, t] < 0)[:, None], state, update * state + (1 - update) * candidate)
    return state[..., 0]


def train(taught: Sequence[Sequence[tuple[str, int]]], words: Sequence[str], kept: int) -> dict[str, Any]:
    """Return `words` and `weights` of one seed, and print how many learned all.

    taught: parts that are taught equally often, of sentences with what is right at their last word: -1, 0, 1.
    kept: the number of the seed.
    """
    torch.manual_seed(1)
    numbers = {word: number for number, word in enumerate(words)}
    shapes = {"words": (len(words), SIZE), "kernel": (SIZE, 3), "recurrent_kernel": (1, 3), "bias": (2, 3)}
    trained = {
        name: (torch.randn(SEEDS, *shape) * (0.1 if name == "bias" else 0.5)).requires_grad_()
        for name, shape in shapes.items()
    }
    optimizer = torch.optim.Adam(trained.values(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, RATE / 10)
    drawn = random.Random(1)
    for _ in range(STEPS):
        batch = [pair for part in taught for pair in drawn.choices(part, k=BATCH // len(taught))]
        last, targets = (
            read([text for text, _ in batch], numbers, trained),
            torch.tensor([right for _, right in batch]),
        )
        loss = ((last - targets) ** 2).mean(1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    rounded = {name: torch.round(values.detach(), decimals=DIGITS) for name, values in trained.items()}
    every = [pair for part in taught for pair in part]
    last, targets = (
        read([text for text, _ in every], numbers, rounded),
        torch.tensor([right for _, right in every]),
    )
    right = torch.where(targets == 0, last.abs() < 0.25, last * targets > 0.5).double().mean(1)
    print(f"{int((right == 1).sum())} of {SEEDS} seeds learned all; kept: {right[kept]:.2%} right")
    found = {name: values[kept].double() for name, values in rounded.items()}
    lists = {name: torch.round(values, decimals=DIGITS).tolist() for name, values in found.items()}
    return {"words": dict(zip(words, lists.pop("words"), strict=True)), "weights": lists}
