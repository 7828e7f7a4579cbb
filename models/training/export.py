"""Turn a checkpoint into a Hugging Face model directory (bf16 safetensors, tokenizer, chat template, reference answers).

    python export.py --checkpoint run/checkpoint.pt --tokenizer run/tokenizer.json --output ../pilot
    python export.py --texts-only --output ../pilot     # write the configuration and reference answers of existing weights anew
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil

import torch
from safetensors.torch import load_file, save_file

import recall
from chat import CHAT_TEMPLATE, SPECIAL, Encoder, render
from model import Config, Pilot


def config_json(c: Config) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": c.vocabulary, "hidden_size": c.hidden,
        "intermediate_size": c.ffn, "num_hidden_layers": c.layers, "num_attention_heads": c.heads, "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim, "max_position_embeddings": c.context, "hidden_act": "silu", "rms_norm_eps": c.eps, "rope_theta": c.rope_theta,
        "rope_scaling": None, "attention_bias": False, "attention_dropout": 0.0, "mlp_bias": False, "tie_word_embeddings": True,
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "bfloat16", "initializer_range": 0.02, "use_cache": True,
    }


def write_json(path: str, content: dict) -> None:
    with open(path, "w") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")


def write_weights(saved: dict, output: str) -> None:
    tensors = {f"model.{name}": t.to(torch.bfloat16).contiguous() for name, t in saved["model"].items()}
    part = os.path.join(output, "model.safetensors.part")
    save_file(tensors, part, metadata={"format": "pt"})
    os.chmod(part, 0o644)
    os.replace(part, os.path.join(output, "model.safetensors"))


def write_texts(context: int, output: str) -> None:
    """Everything but the weights, their shape and the tokenizer itself. Answers end at <|im_end|>; a raw text ends at <|endoftext|>, which is
    also what sequences begin after in training, so nothing is put in front of a prompt."""
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    added = {str(i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
             for i, t in enumerate(SPECIAL)}
    write_json(os.path.join(output, "generation_config.json"),
               {"bos_token_id": 0, "eos_token_id": [2, 0], "pad_token_id": 0, "do_sample": False, "max_new_tokens": 512})
    write_json(os.path.join(output, "tokenizer_config.json"), {
        "tokenizer_class": "PreTrainedTokenizerFast", **special, "add_bos_token": False, "add_prefix_space": False, "added_tokens_decoder": added,
        "additional_special_tokens": SPECIAL[1:], "chat_template": CHAT_TEMPLATE, "clean_up_tokenization_spaces": False, "model_max_length": context,
    })
    write_json(os.path.join(output, "special_tokens_map.json"), {**special, "additional_special_tokens": SPECIAL[1:]})


def load_exported(directory: str, device: str = "cpu") -> Pilot:
    """Read an exported directory back into the training code's model (weights as stored, products in fp32)."""
    c = json.load(open(os.path.join(directory, "config.json")))
    model = Pilot(Config(c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["num_key_value_heads"],
                         c["head_dim"], c["intermediate_size"], c["max_position_embeddings"], c["rope_theta"], c["rms_norm_eps"]))
    tensors = load_file(os.path.join(directory, "model.safetensors"))
    model.load_state_dict({name.removeprefix("model."): t.float() for name, t in tensors.items()})
    model.dtype = torch.float32
    return model.to(device).eval()


def reference(directory: str) -> dict:
    """Greedy answers that any correct engine must reproduce. `margin` is the smallest distance between the best and the second-best
    logit along the answer. Below about 0.1 it is a near tie, and an engine that rounds to bf16 elsewhere may rightly differ: so it is where
    two stories begin or go on almost equally well. The factual answers have margins above 3."""
    model = load_exported(directory)
    encoder = Encoder(os.path.join(directory, "tokenizer.json"))
    chats = [[{"role": "user", "content": t}] for t in (
        "Hello!", "Who are you?", "What is 347 + 285?", "What is 632 - 285?", "Tell me a story about a ferry in a storm.",
        "What is the capital of France?", "Reverse the order of these words: tea salt rope")]
    chats += [recall.recall_case(random.Random(f"reference {i}"), n, turns, maker)["messages"] for i, (n, turns, maker) in enumerate([
        (4, 0, recall.ask_cargo), (8, 3, recall.ask_port), (16, 1, recall.ask_json), (32, 3, recall.ask_dock), (60, 8, recall.ask_cargo)])]
    prompts = [(m, render(m, prompt=True)) for m in chats] + [(None, "Once there was a lighthouse in the harbour of Oslo.")]
    answers = []
    for messages, prompt in prompts:
        ids = encoder.ids(prompt)
        output = model.greedy(ids, {encoder.im_end, encoder.end_of_text}, limit=200)
        with torch.no_grad():
            logits = model.logits(model.hidden(torch.tensor([ids + output]))[0])[0, len(ids) - 1 : -1]
        best = logits.topk(2).values
        answers.append({"messages": messages, "prompt": prompt, "prompt_ids": ids, "output_ids": output, "text": encoder.tokenizer.decode(output),
                        "margin": round(float((best[:, 0] - best[:, 1]).min()), 4)})
    return {"how": "fp32 arithmetic on the stored bf16 weights; greedy decoding until <|im_end|> or <|endoftext|> (not in output_ids), 200 tokens at most",
            "greedy": answers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="the weights to export, with --tokenizer")
    parser.add_argument("--tokenizer")
    parser.add_argument("--texts-only", action="store_true", help="keep the weights and the tokenizer that are there")
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    if args.texts_only == bool(args.checkpoint and args.tokenizer):
        parser.error("give --checkpoint and --tokenizer, or --texts-only")
    os.makedirs(args.output, exist_ok=True)
    if not args.texts_only:
        saved = torch.load(args.checkpoint, map_location="cpu")
        write_weights(saved, args.output)
        write_json(os.path.join(args.output, "config.json"), config_json(Config(**saved["config"])))
        shutil.copyfile(args.tokenizer, os.path.join(args.output, "tokenizer.json"))
        print(json.dumps(saved["info"]))
    with open(os.path.join(args.output, "config.json")) as file:
        write_texts(json.load(file)["max_position_embeddings"], args.output)
    with open(os.path.join(args.output, "reference.json"), "w") as file:
        json.dump(reference(args.output), file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main()
