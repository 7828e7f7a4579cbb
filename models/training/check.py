"""An independent reading of an exported directory: the safetensors parser and the forward pass below use numpy alone and share no code
with the training. It verifies that every greedy answer in reference.json is what the stored weights say.

    python check.py ../pilot
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np


def load_tensors(path: str) -> dict[str, np.ndarray]:
    raw = open(path, "rb").read()
    size = int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, t in json.loads(raw[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        assert t["dtype"] == "BF16", f"{name}: {t['dtype']}"
        start, end = t["data_offsets"]
        half = np.frombuffer(raw[8 + size + start : 8 + size + end], dtype="<u2")
        tensors[name] = (half.astype(np.uint32) << 16).view(np.float32).reshape(t["shape"])
    return tensors


def forward(w: dict[str, np.ndarray], c: dict, ids: list[int]) -> np.ndarray:
    """Logits of every position, [tokens, vocabulary]."""
    length, heads, groups, size = len(ids), c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]

    def rms(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["rms_norm_eps"]) * weight

    frequency = c["rope_theta"] ** (-np.arange(0, size, 2) / size)
    angle = np.concatenate([np.outer(np.arange(length), frequency)] * 2, axis=1)[None]  # [1, tokens, size]
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)

    def rotate(x):  # [heads, tokens, size]
        return x * cos + np.concatenate([-x[..., size // 2 :], x[..., : size // 2]], axis=-1) * sin

    future = np.triu(np.full((length, length), -np.inf, dtype=np.float32), 1)
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = rms(x, w[p + "input_layernorm.weight"])
        q, k, v = ((h @ w[p + f"self_attn.{n}_proj.weight"].T).reshape(length, -1, size).transpose(1, 0, 2) for n in "qkv")
        q, k = rotate(q), np.repeat(rotate(k), heads // groups, axis=0)
        v = np.repeat(v, heads // groups, axis=0)
        score = q @ k.transpose(0, 2, 1) / np.sqrt(size).astype(np.float32) + future
        score = np.exp(score - score.max(-1, keepdims=True))
        y = (score / score.sum(-1, keepdims=True)) @ v
        x = x + y.transpose(1, 0, 2).reshape(length, heads * size) @ w[p + "self_attn.o_proj.weight"].T
        h = rms(x, w[p + "post_attention_layernorm.weight"])
        gate = h @ w[p + "mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    return rms(x, w["model.norm.weight"]) @ w["model.embed_tokens.weight"].T


def main(directory: str) -> int:
    config = json.load(open(os.path.join(directory, "config.json")))
    weights = load_tensors(os.path.join(directory, "model.safetensors"))
    reference = json.load(open(os.path.join(directory, "reference.json")))
    wrong = 0
    for case in reference["greedy"]:
        prompt, output = case["prompt_ids"], case["output_ids"]
        logits = forward(weights, config, prompt + output)[len(prompt) - 1 : -1]
        best = logits.argmax(-1).tolist()
        wrong += best != output
        print("same" if best == output else f"DIFFERS at {[a == b for a, b in zip(best, output)].index(False)}", "|", case["text"][:100].replace("\n", " / "))
    print(f"{len(reference['greedy']) - wrong} of {len(reference['greedy'])} answers reproduced")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
