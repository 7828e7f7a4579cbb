"""Train Pilot from scratch on text that is generated on the fly.

    python train.py --output run --minutes 30 --layers 6                             # two CPU cores are enough
    python train.py --output run --tokens 500e6 --batch-scale 8 --device cuda        # one GPU

The budget is time or tokens; the learning rate and the curriculum follow the fraction of it that is used, so a run always ends
with a finished (fully decayed) model. Checkpoints are written all along. Matrices are trained with Muon (orthogonalised momentum,
which needs far fewer tokens here than AdamW), embeddings and norms with AdamW; --optimizer adamw uses AdamW for everything.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from dataclasses import dataclass

import torch

from batches import Batches, Shape
from chat import Encoder
from model import Block, Config, Pilot
from muon import Muon
from recall import EVAL_QUESTIONS, recall
from retrieval_start import prepare_retrieval
from tokenizer import train_tokenizer


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum. It ends when `ready` (crates, share of exact recall answers) is reached, though not before the
    fraction `earliest` of the budget is used, and at the latest at `latest`."""

    length: int  # tokens per sequence
    crates: tuple[int, int]  # fewest and most crates in a manifest
    recall_share: float  # share of sequences that hold a manifest
    early: bool  # mostly dense look-ups, no trick questions
    batch: int  # tokens per step
    ready: tuple[int, float] = (4, 2.0)
    earliest: float = 0.0
    latest: float = 1.0

    def shape(self, batch_scale: int) -> Shape:
        return Shape(max(1, self.batch * batch_scale // self.length), self.length, self.recall_share, self.crates, self.early)


# Short sequences with many look-ups teach retrieval, longer ones stretch it; then the other tasks get most of the time, and the end
# brings everything together at full length.
CURRICULUM = [
    Stage(128, (2, 4), 0.9, True, 4096, ready=(4, 0.9), latest=0.10),
    Stage(256, (2, 8), 0.8, True, 4096, ready=(8, 0.9), latest=0.25),
    Stage(512, (3, 16), 0.6, False, 4096, ready=(16, 0.9), earliest=0.30, latest=0.40),
    Stage(1024, (4, 32), 0.6, False, 8192, ready=(32, 0.9), earliest=0.50, latest=0.50),
    Stage(512, (4, 20), 0.3, False, 4096, latest=0.80),
    Stage(2048, (4, 60), 0.55, False, 8192),
]


def learning_rate(progress: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to 2 % of the peak."""
    if progress < warmup:
        return progress / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


@torch.no_grad()
def quick_check(model: Pilot, encoder: Encoder, crates: int, cases: int = 24) -> float:
    """Share of recall answers that greedy decoding would give exactly: every token of the expected answer is the most likely one."""
    right = 0
    for i in range(cases):
        rng = random.Random(f"quick {crates} {i}")
        maker = EVAL_QUESTIONS[i % len(EVAL_QUESTIONS)]
        ids, mask = encoder.chat(recall(rng, crates, 1, early=True, last=maker))
        t = torch.tensor([ids[: model.config.context]], device=model.cos.device)
        h, _ = model.hidden(t[:, :-1])
        good = model.logits(h).argmax(-1) == t[:, 1:]
        right += bool(good[torch.tensor([mask[1:]], device=t.device)].all())
    return right / cases


def optimizers(model: Pilot, args: argparse.Namespace) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    lr = args.lr or (0.01 if args.optimizer == "muon" else 0.002)
    adam = dict(betas=(0.9, 0.98), eps=1e-9, fused=True)
    both = [torch.optim.AdamW(rest, lr=args.embedding_lr, weight_decay=0.0, **adam),
            Muon(matrices, lr, weight_decay=0.03) if args.optimizer == "muon" else torch.optim.AdamW(matrices, lr=lr, weight_decay=0.05, **adam)]
    for optimizer in both:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return both


class Run:
    """One training run: its model, how far it is, and what is written about it."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        os.makedirs(args.output, exist_ok=True)
        tokenizer = os.path.join(args.output, "tokenizer.json")
        if not os.path.exists(tokenizer):
            train_tokenizer(tokenizer)
        self.encoder = Encoder(tokenizer)
        self.model = Pilot(Config(vocabulary=self.encoder.vocabulary, hidden=args.hidden, layers=args.layers, ffn=args.ffn)).initialise(args.seed)
        if not args.plain_start:
            prepare_retrieval(self.model, [self.encoder.ids(f" {n}")[0] for n in range(10, 100)], args.seed)
        self.before = {"tokens": 0, "loss_tokens": 0, "steps": 0, "seconds": 0}
        if args.resume:
            saved = torch.load(args.resume, map_location="cpu")
            self.model.load_state_dict(saved["model"])
            self.before = saved["info"]
        self.model.to(args.device)
        if args.fp32:
            self.model.dtype = torch.float32
        if not args.no_compile:
            self.model.step_block = torch.compile(Block.forward, dynamic=False)
            torch._dynamo.config.cache_size_limit = 64  # one graph per sequence length and batch size of the curriculum, and some
        self.optimizers = optimizers(self.model, args)
        # Muon's updates have a fixed size, whatever the gradient's.
        self.clipped = [[p for g in o.param_groups for p in g["params"]] for o in self.optimizers if not isinstance(o, Muon)]
        processes = args.generators if args.generators is not None else (min(8, os.cpu_count() or 1) if args.device != "cpu" else 0)
        self.batches = Batches(tokenizer, f"train {args.seed} {args.start}", processes)
        self.log = open(os.path.join(args.output, "log.jsonl"), "a")
        self.stages = [s for s in CURRICULUM if s.latest > args.start]
        self.begin = self.last_save = self.last_print = time.time()
        self.tokens = self.loss_tokens = self.steps = self.printed_tokens = 0
        self.progress, self.average = args.start, None

    def train(self) -> None:
        while self.progress < 1:
            if self.progress >= self.stages[0].latest:
                self.stages.pop(0)
            self.step(self.stages[0])
            now = time.time()
            used = self.tokens / self.args.tokens if self.args.tokens else (now - self.begin) / 60 / self.args.minutes
            self.progress = self.args.start + (1 - self.args.start) * used
            if now - self.last_print > self.args.check_every or self.progress >= 1:
                self.report(self.stages[0])
            if now - self.last_save > self.args.save_every * 60 or self.progress >= 1:
                self.save()
        self.batches.close()

    def step(self, stage: Stage) -> None:
        tokens, mask = (t.to(self.args.device) for t in self.batches.next(stage.shape(self.args.batch_scale)))
        factor = learning_rate(self.progress, warmup=0.01)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
        loss = self.model.loss(tokens, mask)
        loss.backward()
        for parameters in self.clipped:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        self.tokens += tokens.shape[0] * (tokens.shape[1] - 1)
        self.loss_tokens += int(mask.sum())
        self.average = loss.item() if self.average is None else 0.95 * self.average + 0.05 * loss.item()

    def report(self, stage: Stage) -> None:
        """A line of the log, with a look at held-out recall, which may end the stage."""
        recall_now = {n: quick_check(self.model, self.encoder, n) for n in sorted({4, stage.crates[1], stage.ready[0]})}
        entry = {"seconds": round(time.time() - self.begin), "step": self.steps, "progress": round(self.progress, 4), "length": stage.length,
                 "tokens": self.tokens, "loss_tokens": self.loss_tokens, "loss": round(self.average, 4),
                 "recall": {k: round(v, 2) for k, v in recall_now.items()},
                 "tokens_per_s": round((self.tokens - self.printed_tokens) / (time.time() - self.last_print))}
        print(json.dumps(entry), flush=True)
        self.log.write(json.dumps(entry) + "\n")
        self.log.flush()
        self.last_print, self.printed_tokens = time.time(), self.tokens
        if recall_now[stage.ready[0]] >= stage.ready[1] and self.progress >= stage.earliest:
            self.stages.pop(0)

    def save(self) -> None:
        info = {"tokens": self.before["tokens"] + self.tokens, "loss_tokens": self.before["loss_tokens"] + self.loss_tokens,
                "loss": round(self.average, 4), "steps": self.before["steps"] + self.steps,
                "seconds": self.before["seconds"] + round(time.time() - self.begin), "progress": round(min(self.progress, 1.0), 4),
                "optimizer": self.args.optimizer, "seed": self.args.seed, "finished": self.progress >= 1}
        path = os.path.join(self.args.output, "checkpoint.pt")
        torch.save({"config": self.model.config.dict(), "model": self.model.state_dict(), "info": info}, path + ".part")
        os.replace(path + ".part", path)
        self.last_save = time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="folder for checkpoints and the log")
    parser.add_argument("--minutes", type=float, help="budget in minutes of training")
    parser.add_argument("--tokens", type=float, help="budget in tokens")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: leave to torch)")
    parser.add_argument("--generators", type=int, help="processes that make batches (default: none on a CPU, up to 8 otherwise)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--ffn", type=int, default=704)
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--lr", type=float, help="peak learning rate of the matrices (default: 0.01 Muon, 0.002 AdamW)")
    parser.add_argument("--embedding-lr", type=float, default=0.003)
    parser.add_argument("--batch-scale", type=int, default=1, help="multiply the tokens per step (use 4 or more on a GPU)")
    parser.add_argument("--plain-start", action="store_true", help="random start, without the look-up circuit")
    parser.add_argument("--resume", help="checkpoint whose weights to start from")
    parser.add_argument("--start", type=float, default=0.0, help="fraction of the schedule to start at (with --resume)")
    parser.add_argument("--fp32", action="store_true", help="products in fp32: faster on a CPU without bf16 instructions")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--check-every", type=float, default=45, help="seconds between lines of the log")
    parser.add_argument("--save-every", type=float, default=4, help="minutes between checkpoints")
    args = parser.parse_args()
    if not args.minutes and not args.tokens:
        parser.error("give a budget: --minutes or --tokens")
    if args.threads:
        torch.set_num_threads(args.threads)
    run = Run(args)
    total = sum(p.numel() for p in run.model.parameters())
    print(f"{total / 1e6:.2f} M parameters, {torch.get_num_threads()} threads, {args.optimizer}", flush=True)
    run.train()


if __name__ == "__main__":
    main()
