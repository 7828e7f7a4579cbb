"""Look at the generated text, and write what is made of it once: the tokenizer and the held-out recall set.

    python generate.py show --task recall --seed 7 --count 2
    python generate.py tokenizer --output tokenizer.json
    python generate.py recall-eval --output recall-eval.jsonl

All text is a pure function of its seed.
"""

from __future__ import annotations

import argparse
import json
import random

from mixture import OTHER_TASKS
from recall import recall, recall_set
from tokenizer import train_tokenizer

TASKS = {"recall": lambda rng: recall(rng, rng.randint(4, 12), 4), **{task.__name__: task for task, _ in OTHER_TASKS}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="print examples as JSON lines")
    show.add_argument("--task", choices=TASKS, default="recall")
    show.add_argument("--seed", default="0")
    show.add_argument("--count", type=int, default=1)
    tokenizer = commands.add_parser("tokenizer", help="train the tokenizer")
    tokenizer.add_argument("--output", required=True)
    held_out = commands.add_parser("recall-eval", help="write the held-out recall set")
    held_out.add_argument("--output", required=True)
    held_out.add_argument("--count", type=int, default=200)
    held_out.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.command == "show":
        rng = random.Random(f"show {args.seed}")
        for _ in range(args.count):
            example = TASKS[args.task](rng)
            print(json.dumps({"messages": example.messages, "kinds": example.kinds}, ensure_ascii=False))
    elif args.command == "tokenizer":
        train_tokenizer(args.output)
    else:
        with open(args.output, "w") as file:
            for i, case in enumerate(recall_set(args.count, args.seed)):
                file.write(json.dumps({"id": f"recall-{i:03d}", **case}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
