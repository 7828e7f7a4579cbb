"""Measure an exported model on unseen seeds, with greedy decoding.

    python evaluate.py --model ../pilot --recall-eval ../pilot/recall-eval.jsonl --report evaluation.md

An answer is `exact` when it equals the expected text, and `right` when it contains the strings that matter (the cargo, the number,
...). Stories have no expected text: they count as right when they mention their subject, end by themselves and have 60 to 250 tokens.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor

import torch

import recall
from chat import Encoder, render
from export import load_exported
from recall import EVAL_SIZES as SIZES
from stories import story
from tasks import arithmetic, compare, count, greeting, instruction, outside, trips
from world import manifest

MAIN = [recall.ask_cargo, recall.ask_port, recall.ask_dock, recall.ask_holder]
HARDER = [recall.ask_record, recall.ask_json, recall.ask_several, recall.ask_to_port, recall.ask_how_many, recall.ask_missing]
LONGEST_ANSWER = 300
SINGLE = [trips, arithmetic, compare, count, greeting, outside, instruction, story]


def recall_cases(per_cell: int) -> list[dict]:
    cases = []
    for makers, number in ((MAIN, per_cell), (HARDER, max(1, per_cell // 2))):
        for maker in makers:
            for size in SIZES:
                for i in range(number):
                    rng = random.Random(f"evaluate {maker.__name__} {size} {i}")
                    cases.append(recall.recall_case(rng, size, rng.choice([0, 1, 3, 8, 20]), maker))
    return cases


def single_cases(per_task: int) -> list[dict]:
    cases = []
    for task in SINGLE:
        for i in range(per_task * (3 if task is instruction else 2 if task in (arithmetic, trips) else 1)):
            example = task(random.Random(f"evaluate {task.__name__} {i}"))
            cases.append({"task": example.kinds[-1], "messages": example.messages[:-1], "answer": example.messages[-1]["content"], "keys": example.keys[-1]})
    return cases


def judge(case: dict, text: str, tokens: int, ended: bool) -> tuple[bool, bool]:
    if case["task"] == "story":
        right = ended and 60 <= tokens <= 250 and all(k in text for k in case["keys"])
        return right, right
    exact = ended and text == case["answer"]
    return exact or (ended and bool(case["keys"]) and all(k in text for k in case["keys"])), exact


class Tally:
    def __init__(self):
        self.cells = defaultdict(lambda: [0, 0, 0])

    def add(self, key, right: bool, exact: bool) -> None:
        c = self.cells[key]
        c[0] += 1
        c[1] += right
        c[2] += exact

    def share(self, key, what: int = 1) -> str:
        c = self.cells[key]
        return f"{100 * c[what] / c[0]:.0f} %" if c[0] else "–"


class Worker:
    """One process that answers cases. The model is loaded once per process."""

    model = encoder = None
    deadline: float | None = None

    @classmethod
    def open(cls, directory: str, device: str, threads: int, deadline: float | None) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        torch.set_num_threads(threads)
        cls.model, cls.deadline = load_exported(directory, device), deadline
        cls.encoder = Encoder(os.path.join(directory, "tokenizer.json"))

    @classmethod
    def answer(cls, case: dict) -> dict | None:
        if cls.deadline and time.time() > cls.deadline:
            return None
        prompt = cls.encoder.ids(render(case["messages"], prompt=True))
        if len(prompt) > cls.model.config.context - LONGEST_ANSWER:
            return None
        output = cls.model.greedy(prompt, {cls.encoder.im_end, cls.encoder.end_of_text}, limit=LONGEST_ANSWER)
        text = cls.encoder.tokenizer.decode(output)
        right, exact = judge(case, text, len(output), len(output) < LONGEST_ANSWER)
        return {**case, "output": text, "right": right, "exact": exact, "prompt_tokens": len(prompt)}


def bucket(tokens: int) -> str:
    for limit in (256, 512, 768, 1024, 1536):
        if tokens < limit:
            return f"< {limit}"
    return "≥ 1536"


def report(look_ups: list[dict], single: list[dict], held_out: list[dict], info: dict) -> str:
    by_kind, by_size, by_length, by_task, by_held = Tally(), Tally(), Tally(), Tally(), Tally()
    main = {m(random.Random(0), manifest(random.Random(0), 4))[2] for m in MAIN}
    for c in look_ups:
        by_kind.add((c["task"], c["crates"]), c["right"], c["exact"])
        by_kind.add((c["task"], "all"), c["right"], c["exact"])
        if c["task"] in main:
            by_size.add(c["crates"], c["right"], c["exact"])
            by_length.add(bucket(c["prompt_tokens"]), c["right"], c["exact"])
    for c in single:
        by_task.add(c["task"], c["right"], c["exact"])
    for c in held_out:
        by_held.add(c["crates"], c["right"], c["exact"])
        by_held.add("all", c["right"], c["exact"])
    lines = ["# Measured quality", "", "Greedy decoding, fp32 arithmetic on the stored bf16 weights, seeds that training never used.", ""]
    lines += ["## Training", "", "| | |", "|---|---|"] + [f"| {k} | {v} |" for k, v in info.items()] + [""]
    lines += ["## Recall by kind of question and number of crates", "",
              "Share of right answers. Up to 20 earlier question-and-answer turns lie between the manifest and the question.", "",
              "| question | " + " | ".join(map(str, SIZES)) + " | all | exact | cases |", "|---|" + "---:|" * (len(SIZES) + 3)]
    for kind in dict.fromkeys(c["task"] for c in look_ups):
        cells = [by_kind.share((kind, s)) for s in SIZES] + [by_kind.share((kind, "all")), by_kind.share((kind, "all"), 2), str(by_kind.cells[(kind, "all")][0])]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    cells = [by_size.share(s) for s in SIZES]
    lines += ["| **cargo, port, dock, holder** | " + " | ".join(cells) + " | | | |", ""]
    lines += ["## Single look-ups by prompt length", "", "| prompt tokens | right | exact | cases |", "|---|---:|---:|---:|"]
    for b in ("< 256", "< 512", "< 768", "< 1024", "< 1536", "≥ 1536"):
        if by_length.cells[b][0]:
            lines.append(f"| {b} | {by_length.share(b)} | {by_length.share(b, 2)} | {by_length.cells[b][0]} |")
    lines += ["", "## Other tasks", "", "| task | right | exact | cases |", "|---|---:|---:|---:|"]
    for task in dict.fromkeys(c["task"] for c in single):
        lines.append(f"| {task} | {by_task.share(task)} | {by_task.share(task, 2)} | {by_task.cells[task][0]} |")
    if held_out:
        lines += ["", "## recall-eval.jsonl", "", "| crates | right | exact | cases |", "|---|---:|---:|---:|"]
        for s in [*SIZES, "all"]:
            lines.append(f"| {s} | {by_held.share(s)} | {by_held.share(s, 2)} | {by_held.cells[s][0]} |")
    lines += ["", "## Examples", ""]
    seen: dict[str, int] = defaultdict(int)
    for c in single:
        seen[c["task"]] += 1
        if seen[c["task"]] <= (2 if c["task"] in ("story", "add") else 1):
            question = c["messages"][-1]["content"].replace("\n", " / ")
            answer = c["output"].replace("\n", " / ")
            lines.append(f"- **{c['task']}** ({'right' if c['right'] else 'wrong'}): “{question[-200:]}” → “{answer}”")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="exported directory")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes, one thread each")
    parser.add_argument("--per-cell", type=int, default=20, help="cases per kind of question and manifest size")
    parser.add_argument("--per-task", type=int, default=50, help="cases per other task")
    parser.add_argument("--recall-eval", help="also answer this held-out file")
    parser.add_argument("--report", help="write a Markdown report here")
    parser.add_argument("--details", help="write every case and output here, as JSON lines")
    parser.add_argument("--info", help="JSON text with facts about the training, shown in the report", default="{}")
    parser.add_argument("--minutes", type=float, help="stop after this long, and report what is done")
    args = parser.parse_args()
    begin = time.time()
    deadline = begin + 60 * args.minutes if args.minutes else None
    held_out = [json.loads(line) for line in open(args.recall_eval)] if args.recall_eval else []
    single, look_ups = single_cases(args.per_task), recall_cases(args.per_cell)
    order = list(range(len(look_ups)))
    random.Random(0).shuffle(order)  # so that a deadline thins every cell alike
    with ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn"), Worker.open, (args.model, args.device, 1, deadline)) as pool:
        answers = list(pool.map(Worker.answer, held_out + single + [look_ups[i] for i in order], chunksize=4))
    held_out, single, shuffled = answers[: len(held_out)], answers[len(held_out) : len(held_out) + len(single)], answers[len(held_out) + len(single) :]
    look_ups = [c for _, c in sorted(zip(order, shuffled), key=lambda pair: pair[0]) if c]
    held_out, single = [c for c in held_out if c], [c for c in single if c]
    text = report(look_ups, single, held_out, json.loads(args.info))
    print(text)
    print(f"{len(held_out) + len(single) + len(look_ups)} answers in {time.time() - begin:.0f} s")
    if args.report:
        with open(args.report, "w") as f:
            f.write(text)
    if args.details:
        with open(args.details, "w") as f:
            for c in held_out + single + look_ups:
                f.write(json.dumps(c, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
