"""Training batches, generated as they are needed: each is a pure function of the seed, the step and the stage.
"""

from __future__ import annotations

import multiprocessing
import os
import random
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch

from chat import Encoder
from mixture import row


@dataclass(frozen=True)
class Shape:
    """What a stage asks of its batches."""

    rows: int
    length: int  # tokens per sequence
    recall_share: float  # share of sequences that hold a manifest
    crates: tuple[int, int]  # fewest and most in a manifest
    early: bool  # mostly dense look-ups, no trick questions


encoder: Encoder | None = None  # of this process


def open_encoder(tokenizer: str) -> None:
    global encoder
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    encoder = Encoder(tokenizer)


def make(seed: str, shape: Shape) -> tuple[list[list[int]], list[list[bool]]]:
    rng = random.Random(seed)
    rows = [row(rng, encoder, shape.length, shape.recall_share, shape.crates, shape.early) for _ in range(shape.rows)]
    return [ids for ids, _ in rows], [mask for _, mask in rows]


class Batches:
    """With `processes`, batches are made ahead of their use, twice as many as there are processes; a new shape takes effect after these.
    A GPU needs that, two CPU cores are better left to the training itself."""

    def __init__(self, tokenizer: str, seed: str, processes: int):
        self.seed, self.asked, self.ahead = seed, 0, deque()
        self.depth, self.pool = 2 * processes, None
        if processes:
            self.pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), open_encoder, (tokenizer,))
        else:
            open_encoder(tokenizer)

    def next(self, shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and their loss mask, each [rows, length + 1]."""
        while self.pool and len(self.ahead) < self.depth:
            self.ahead.append(self.pool.submit(make, self.next_seed(), shape))
        ids, mask = self.ahead.popleft().result() if self.pool else make(self.next_seed(), shape)
        return torch.tensor(ids), torch.tensor(mask)

    def next_seed(self) -> str:
        self.asked += 1
        return f"{self.seed} {self.asked - 1}"

    def close(self) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)
