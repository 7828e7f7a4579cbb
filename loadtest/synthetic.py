"""A model directory with random weights in the shape of a known model, for measurements: the time it takes is the real one's, its
answers are noise. The tokenizer is the bundled model's; prompts are given as token ids."""
import json
import math
import os
import random
import shutil
import struct

SHAPES = {
    "smollm2-135m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
                         head_dim=64, vocab_size=49152, max_position_embeddings=8192, rope_theta=100000.0),
    "smollm2-360m": dict(hidden_size=960, intermediate_size=2560, num_hidden_layers=32, num_attention_heads=15, num_key_value_heads=5,
                         head_dim=64, vocab_size=49152, max_position_embeddings=8192, rope_theta=100000.0),
}
# bf16 values of about +-0.01 to 0.03 with random mantissas: every product stays finite and no two rows are alike.
HIGH = bytes(0x3C if byte & 1 else 0xBC for byte in range(256))


def tensors(shape):
    hidden, inner, heads, kv, size = (shape[k] for k in (
        "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim"))
    yield "model.embed_tokens.weight", [shape["vocab_size"], hidden], False
    for layer in range(shape["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", [hidden], True
        yield prefix + "post_attention_layernorm.weight", [hidden], True
        yield prefix + "self_attn.q_proj.weight", [heads * size, hidden], False
        yield prefix + "self_attn.k_proj.weight", [kv * size, hidden], False
        yield prefix + "self_attn.v_proj.weight", [kv * size, hidden], False
        yield prefix + "self_attn.o_proj.weight", [hidden, heads * size], False
        yield prefix + "mlp.gate_proj.weight", [inner, hidden], False
        yield prefix + "mlp.up_proj.weight", [inner, hidden], False
        yield prefix + "mlp.down_proj.weight", [hidden, inner], False
    yield "model.norm.weight", [hidden], True


class ModelLike:
    """Rows whose numbers are about those of trained linear maps: normal, with one deviation per row (log-normal, 0.30), one per column (0.15)
    and one per 64 columns, so that tails are those of Student's t with 12 degrees of freedom. Rows are put together of blocks that are drawn
    once, for a few deviations of rows."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        draw = self.random.gauss
        columns = [math.exp(draw(0, 0.15)) for _ in range(64)]
        self.pools = [[self.block(0.03 * math.exp(draw(0, 0.30)), columns) for _ in range(512)] for _ in range(32)]

    def block(self, deviation, columns):
        draw = self.random.gauss
        scale = deviation * math.sqrt(12 / sum(draw(0, 1) ** 2 for _ in range(12)))
        floats = struct.pack("<64f", *(draw(0, scale * column) for column in columns))
        return b"".join(floats[i + 2:i + 4] for i in range(0, 256, 4))

    def row(self, columns):
        return b"".join(self.random.choices(self.random.choice(self.pools), k=-(-columns // 64)))[:2 * columns]


def write(folder, name, tokenizer, like_a_model=False):
    """Fills `folder` with a model of the shape `name`; `tokenizer` is a directory to copy tokenizer files from. Codecs find as much in its
    weights as in a real model's where it is to be like one; that takes a while."""
    like = ModelLike() if like_a_model else None
    shape = SHAPES[name]
    os.makedirs(folder, exist_ok=True)
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", rms_norm_eps=1e-5, tie_word_embeddings=True,
                  torch_dtype="bfloat16", bos_token_id=0, eos_token_id=0, attention_bias=False, mlp_bias=False, **shape)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if os.path.exists(os.path.join(tokenizer, file)):
            shutil.copy(os.path.join(tokenizer, file), folder)
    entries, offset = {}, 0
    for tensor, dimensions, _ in tensors(shape):
        count = 2
        for dimension in dimensions:
            count *= dimension
        entries[tensor] = {"dtype": "BF16", "shape": dimensions, "data_offsets": [offset, offset + count]}
        offset += count
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for _, dimensions, is_norm in tensors(shape):
            count = 1
            for dimension in dimensions:
                count *= dimension
            if is_norm:
                file.write(b"\x80\x3f" * count)
                continue
            if like:
                for _ in range(dimensions[0]):
                    file.write(like.row(dimensions[1]))
                continue
            values = bytearray(os.urandom(2 * count))
            values[1::2] = values[1::2].translate(HIGH)
            file.write(values)
