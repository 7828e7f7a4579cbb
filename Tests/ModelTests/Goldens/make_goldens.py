"""Make the miniature models and their golden answers in ../Fixtures.

    pip install torch transformers safetensors numpy
    python make_goldens.py [--only FAMILY] [--check]

Each family gets a directory in the Hugging Face layout with random weights, and `golden.json`, computed with the reference
implementation in `transformers`, in fp32 arithmetic on the stored weights:

    prompt_ids      the prompt
    logits          {"positions": [...], "rows": [[...]]}: full logit rows after the prompt's tokens at these positions; the last is the prompt's last
    greedy          64 ids, each the argmax after the prompt and those before it; end-of-sequence ids are not treated specially
    minimum_margin  smallest distance between best and second-best logit on the greedy path
    bf16_deviation  {"largest", "rms"}: how far the logits of the prompt and of the greedy path move when the inputs of all matrices and of
                    attention (queries, keys, values, probabilities) are rounded to bf16, to the nearest and at random up or down: the worst
                    of several runs. The greedy ids are the same in each of these runs

Random weights seldom give a greedy path without near ties, so seeds are tried until the path is clear, not repetitive, and survives
the roundings. `--check` recomputes the goldens of the directories that are there and changes nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import logging

FIXTURES = Path(__file__).resolve().parent.parent / "Fixtures"
GREEDY_TOKENS = 64
LEAST_MARGIN = 0.05
SEEDS = 5000
LEAST_DISTINCT = 12  # of the greedy tokens: a path that circles among few tokens tests little
LARGEST_DIRECTORY = 300_000
GAIN = 1.3  # of every matrix: smaller values repeat the last token, larger ones make roundings grow from layer to layer
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class Miniature:
    """One family: what its config.json says and how its tensors are stored."""

    config: dict
    dtype: str = "bfloat16"
    modern: bool = False  # config keys as transformers 5 writes them (`dtype`, `rope_parameters`), else as 4 did
    shards: int = 1
    prompt: int = 41
    rope: dict = field(default_factory=dict)  # scaling; empty for plain rotary embeddings

    def written_config(self) -> dict:
        common = {
            "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 512, "hidden_act": "silu", "rms_norm_eps": 1e-5, "attention_dropout": 0.0,
            "initializer_range": 0.02, "use_cache": True, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": True,
        }
        config = {**common, **self.config}
        theta = config.pop("rope_theta")
        if self.modern:
            config |= {"dtype": self.dtype, "transformers_version": "5.0.0",
                       "rope_parameters": {"rope_theta": theta, **(self.rope or {"rope_type": "default"})}}
        else:
            config |= {"torch_dtype": self.dtype, "transformers_version": "4.46.0", "rope_theta": theta, "rope_scaling": self.rope or None}
        return config


LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False, "rope_theta": 10000.0}
MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None, "tie_word_embeddings": False,
           "head_dim": 16, "rope_theta": 100000.0}
QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False, "sliding_window": 512,
         "max_window_layers": 2, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0}
QWEN3 = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": False, "head_dim": 32, "use_sliding_window": False,
         "sliding_window": None, "max_window_layers": 2, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0}
# The trained length is shorter than the prompt and the wavelengths of 16 dimensions fall on both sides of both bounds.
LLAMA3_SCALING = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}

FAMILIES = {
    "llama": Miniature({**LLAMA, "num_hidden_layers": 3, "intermediate_size": 96}),
    "llama3-rope": Miniature({**LLAMA, "head_dim": 16, "rope_theta": 500000.0}, rope=LLAMA3_SCALING, prompt=67),
    "llama3-rope-modern": Miniature({**LLAMA, "head_dim": 16, "rope_theta": 10000.0, "num_key_value_heads": 4}, rope=LLAMA3_SCALING, modern=True),
    "llama-sharded": Miniature({**LLAMA, "head_dim": 32, "num_attention_heads": 2, "num_key_value_heads": 1}, modern=True, shards=3),
    "llama-f32": Miniature({**LLAMA, "intermediate_size": 64}, dtype="float32"),
    "mistral": Miniature(MISTRAL),
    "mistral-f16": Miniature({**MISTRAL, "num_key_value_heads": 1, "eos_token_id": [2, 5]}, dtype="float16", modern=True),
    "qwen2": Miniature(QWEN2, prompt=64),
    "qwen3": Miniature(QWEN3, modern=True),
    "qwen3-untied": Miniature({**QWEN3, "tie_word_embeddings": False, "head_dim": 16, "num_key_value_heads": 4}),
}


def random_weights(model: torch.nn.Module, dtype: torch.dtype, seed: int) -> None:
    """Weights with which attention looks at few positions, every layer matters and the logits spread, rounded to `dtype`."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name:
            value = 1 + 0.25 * noise
        elif name.endswith("bias"):
            value = 0.5 * noise
        elif "embed_tokens" in name or "lm_head" in name:
            value = 0.5 * noise
        else:
            value = GAIN * noise / math.sqrt(p.shape[1])
        p.data = value.to(dtype).float()


class Rounding:
    """To bf16: to the nearest when `seed` is None, else up or down at random in proportion to the distance. The random kind is the coarser
    one; a path that survives several of them does not hang on where exactly an implementation rounds."""

    def __init__(self, seed: int | None):
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.generator is None:
            return x.bfloat16().float()
        noise = torch.randint(0, 1 << 16, x.shape, generator=self.generator, dtype=torch.int32)
        return (x.contiguous().view(torch.int32) + noise & -65536).view(torch.float32)


ROUNDINGS = [None, 1, 2, 3, 4]
current_rounding: Rounding | None = None


def attention(module, query, key, value, attention_mask, scaling, **_):
    """Causal attention of the last `query` positions, with rounding while one is in force."""
    exact = current_rounding or (lambda x: x)
    groups = query.shape[1] // key.shape[1]
    key, value = (exact(t).repeat_interleave(groups, dim=1) for t in (key, value))
    score = exact(query) @ key.mT * scaling
    length, total = score.shape[-2:]
    future = torch.ones(length, total, dtype=torch.bool).triu(total - length + 1)
    share = score.masked_fill(future, -math.inf).softmax(-1)
    return (exact(share) @ value).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register("rounded", attention)


class Rounded:
    """While entered, the model computes with inputs rounded to bf16."""

    def __init__(self, model: torch.nn.Module, seed: int | None):
        self.model, self.rounding = model, Rounding(seed)

    def __enter__(self):
        global current_rounding
        current_rounding = self.rounding
        self.model.set_attn_implementation("rounded")
        linears = [m for m in self.model.modules() if isinstance(m, torch.nn.Linear)]
        self.hooks = [m.register_forward_pre_hook(lambda _, args: (self.rounding(args[0]), *args[1:])) for m in linears]

    def __exit__(self, *_):
        global current_rounding
        current_rounding = None
        self.model.set_attn_implementation("sdpa")
        for hook in self.hooks:
            hook.remove()


@torch.no_grad()
def greedy_path(model, prompt: list[int], least_margin: float = 0.0) -> tuple[torch.Tensor, list[int], float]:
    """The logit rows of the prompt and of the greedy ids but the last, the ids, the smallest margin. Stops early below `least_margin`."""
    cache = DynamicCache()
    logits = model(torch.tensor([prompt]), past_key_values=cache, use_cache=True).logits[0]
    rows, ids, margin = [logits], [], math.inf
    for _ in range(GREEDY_TOKENS):
        best = rows[-1][-1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
        if margin < least_margin or len(ids) == GREEDY_TOKENS:
            break
        rows.append(model(torch.tensor([[ids[-1]]]), past_key_values=cache, use_cache=True).logits[0])
    return torch.cat(rows), ids, margin


@torch.no_grad()
def deviation(model, prompt: list[int], ids: list[int], logits: torch.Tensor) -> dict | None:
    """How far the roundings move the logits; None if one of them changes the greedy path. One pass over the path decides: a path is greedy
    exactly when each of its ids is the argmax after those before it."""
    largest = mean_square = 0.0
    for seed in ROUNDINGS:
        with Rounded(model, seed):
            moved = model(torch.tensor([prompt + ids[:-1]]), use_cache=False).logits[0]
        if moved[len(prompt) - 1 :].argmax(-1).tolist() != ids:
            return None
        largest = max(largest, float((moved - logits).abs().max()))
        mean_square = max(mean_square, float((moved - logits).square().mean()))
    return {"largest": round(largest, 6), "rms": round(math.sqrt(mean_square), 6)}


def golden(model, prompt: list[int], least_margin: float = 0.0) -> dict | None:
    logits, ids, margin = greedy_path(model, prompt, least_margin)
    if margin < least_margin or len(set(ids)) < (LEAST_DISTINCT if least_margin else 0):
        return None
    with torch.no_grad():
        whole = model(torch.tensor([prompt + ids[:-1]]), use_cache=False).logits[0]
    assert (whole - logits).abs().max() < 1e-4, "step by step and at once differ"
    moved = deviation(model, prompt, ids, logits)
    if moved is None and least_margin:
        return None
    positions = [0, len(prompt) // 3, 2 * len(prompt) // 3, len(prompt) - 1]
    return {
        "prompt_ids": prompt,
        "logits": {"positions": positions, "rows": [[round(x, 6) for x in logits[p].tolist()] for p in positions]},
        "greedy": ids, "minimum_margin": round(margin, 6), "bf16_deviation": moved,
    }


def stored_tensors(model, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    tied = model.config.tie_word_embeddings
    return {n: p.detach().to(dtype).contiguous() for n, p in model.state_dict().items() if not (tied and n == "lm_head.weight")}


def write_weights(directory: Path, tensors: dict[str, torch.Tensor], shards: int) -> None:
    if shards == 1:
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        return
    names, places = sorted(tensors), {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {n: tensors[n] for n in names[shard::shards]}
        save_file(part, directory / file, metadata={"format": "pt"})
        places |= {n: file for n in part}
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(directory / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))})


def write_json(path: Path, value: dict, indent: int | None = 2) -> None:
    path.write_text(json.dumps(value, indent=indent) + "\n")


def write_golden(path: Path, value: dict) -> None:
    """One line for each key and each row of logits, so that the file can be read and compared."""
    rows = ",\n  ".join(json.dumps(row) for row in value["logits"]["rows"])
    logits = f'{{"positions": {value["logits"]["positions"]}, "rows": [\n  {rows}]}}'
    lines = [f' "{k}": {logits if k == "logits" else json.dumps(v)}' for k, v in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def make(name: str, kind: Miniature, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    config = kind.written_config()
    write_json(directory / "config.json", config)
    write_json(directory / "generation_config.json", {"bos_token_id": config["bos_token_id"], "eos_token_id": config["eos_token_id"],
                                                      "do_sample": False, "transformers_version": config["transformers_version"]})
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory), dtype=torch.float32).eval()
    for seed in range(SEEDS):
        random_weights(model, DTYPES[kind.dtype], seed)
        generator = torch.Generator().manual_seed(seed)
        prompt = torch.randint(3, config["vocab_size"], (kind.prompt,), generator=generator).tolist()
        if answer := golden(model, prompt, LEAST_MARGIN):
            break
    else:
        raise SystemExit(f"{name}: no seed gives a clear greedy path")
    write_weights(directory, stored_tensors(model, DTYPES[kind.dtype]), kind.shards)
    write_golden(directory / "golden.json", answer)
    size = sum(f.stat().st_size for f in directory.iterdir())
    assert size < LARGEST_DIRECTORY, f"{name}: {size} bytes"
    spread = torch.tensor(answer["logits"]["rows"]).std(dim=1).mean()
    print(f"{name}: seed {seed}, margin {answer['minimum_margin']}, deviation {answer['bf16_deviation']}, logit spread {spread:.2f}, "
          f"{len(set(answer['greedy']))} distinct ids, {size} bytes", flush=True)


def check(name: str, directory: Path) -> bool:
    """Whether `transformers`, reading the directory as any user would, gives the golden answers."""
    stored = json.loads((directory / "golden.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    computed = golden(model, stored["prompt_ids"])
    worst = max(abs(a - b) for x, y in zip(stored["logits"]["rows"], computed["logits"]["rows"]) for a, b in zip(x, y))
    good = computed["greedy"] == stored["greedy"] and worst < 1e-4
    print(f"{name}: {'same' if good else 'DIFFERS'}, largest difference of a logit {worst:.1e}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=FAMILIES)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    good = True
    for name in [args.only] if args.only else FAMILIES:
        directory = FIXTURES / f"{name}-mini"
        if not args.check:
            make(name, FAMILIES[name], directory)
        good &= check(name, directory)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
