#!/usr/bin/env python3
"""Ferry beside llama.cpp on this machine: one shape with random weights, as many threads, turn by turn.

Each round measures Ferry, then llama.cpp with flash attention, then without. Shown are medians over the rounds, of llama.cpp the
faster of the two, and as ratio the median of the rounds' ratios, because a shared machine drifts more between rounds than within
one. int8 compares Ferry's int8 and int8g32 with Q8_0. How to get llama.cpp: README.md beside this file.

    python3 loadtest/peers/llama_cpp.py --llama ~/llama/build/bin --shape smollm2-135m --weights int8 --repeats 5
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path

# As in Sources/Model/SyntheticModel.swift; all heads have 64 dimensions and the embedding is also the head.
SHAPES = {
    "smollm2-135m": dict(architecture="llama", layers=30, hidden=576, intermediate=1536, heads=9, key_value_heads=3,
                         vocabulary=49_152, context=8192, epsilon=1e-5, rope_base=100_000.0),
    "qwen2.5-0.5b": dict(architecture="qwen2", layers=24, hidden=896, intermediate=4864, heads=14, key_value_heads=2,
                         vocabulary=151_936, context=32_768, epsilon=1e-6, rope_base=1_000_000.0),
}
HEAD = 64
FORMS = {"bf16": ("BF16", ["bf16"]), "int8": ("Q8_0", ["int8", "int8g32"])}
PREFILL, PROMPT, GENERATE, BATCHES = 512, 256, 64, [1, 4, 8, 16]
FIGURES = [("prefill", PREFILL, 1)] + [("decode", PROMPT, batch) for batch in BATCHES]


def run(program, *options):
    """Standard output of a program. An exception here, Ctrl-C too, ends it."""
    try:
        done = subprocess.run([program, *map(str, options)], capture_output=True, text=True)
    except OSError as error:
        raise SystemExit(f"{program}: {error.strerror}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise SystemExit(f"{program}: {next((line for line in lines if 'error' in line.lower()), lines[-1])}")
    return done.stdout


def objects(text):
    """The JSON objects among lines of other text."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def write_bf16(path, name):
    """A GGUF of that shape. Speed does not depend on the numbers, as long as none is subnormal, infinite or NaN."""
    try:
        import gguf
        import numpy
    except ImportError as error:
        raise SystemExit(f"{error}; README.md says how to install it")
    shape = SHAPES[name]
    hidden, inner, key_value = shape["hidden"], shape["intermediate"], shape["key_value_heads"] * HEAD
    writer = gguf.GGUFWriter(path, shape["architecture"])
    writer.add_name(f"{name}, random weights")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(shape["vocabulary"])
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(inner)
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["key_value_heads"])
    writer.add_rope_dimension_count(HEAD)
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_layer_norm_rms_eps(shape["epsilon"])
    random = numpy.random.default_rng(1)
    bf16 = gguf.GGMLQuantizationType.BF16

    def matrix(tensor, rows, columns):
        numbers = random.standard_normal((rows, columns), dtype=numpy.float32) * 0.02
        writer.add_tensor(tensor + ".weight", gguf.quantize(numbers, bf16), raw_dtype=bf16)

    def norm(tensor):
        writer.add_tensor(tensor + ".weight", numpy.ones(hidden, numpy.float32))

    matrix("token_embd", shape["vocabulary"], hidden)
    norm("output_norm")
    for layer in range(shape["layers"]):
        block = f"blk.{layer}."
        norm(block + "attn_norm")
        for tensor, rows in ("attn_q", hidden), ("attn_k", key_value), ("attn_v", key_value):
            matrix(block + tensor, rows, hidden)
            if shape["architecture"] == "qwen2":
                writer.add_tensor(f"{block}{tensor}.bias", numpy.zeros(rows, numpy.float32))
        matrix(block + "attn_output", hidden, hidden)
        norm(block + "ffn_norm")
        matrix(block + "ffn_gate", inner, hidden)
        matrix(block + "ffn_up", inner, hidden)
        matrix(block + "ffn_down", hidden, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def model(arguments, form):
    """The file of the model in that form, made where it is missing."""
    path = arguments.work / f"{arguments.shape}-{form}.gguf"
    if not path.exists():
        # Under another name until it is whole: an interrupted run must not leave half a model.
        partial = path.with_suffix(".partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"making {path}", file=sys.stderr)
        if form == "BF16":
            write_bf16(partial, arguments.shape)
        else:
            run(arguments.llama / "llama-quantize", model(arguments, "BF16"), partial, form, arguments.threads)
        partial.rename(path)
    return path


def ferry(arguments, forms):
    """One measurement of each figure in each form: {form: {figure: tokens/s}}."""
    figures = {form: {} for form in forms}
    # The second run is there for its prefill only.
    for prompt, generate, batches in (PROMPT, GENERATE, BATCHES), (PREFILL, 1, [1]):
        report = json.loads(run(
            arguments.ferry, "bench", "--shape", arguments.shape, "--weights", ",".join(forms), "--threads", arguments.threads,
            "--prompt", prompt, "--generate", generate, "--batch", ",".join(map(str, batches)), "--repeats", 1, "--json"))
        for result in report["results"]:
            figure = result["phase"], result["prompt"], result["batch"]
            if figure in FIGURES and (generate > 1 or figure[0] == "prefill"):
                # llama.cpp counts all steps of a run; a median would leave our stalls out.
                figures[result["weights"]][figure] = result.get("mean_tokens_per_second", result["tokens_per_second"])
    return figures


def llama_cpp(arguments, path, flash_attention):
    """One measurement of each figure, and llama.cpp's commit."""
    common = ["-m", path, "-t", arguments.threads, "-b", 2048, "-ub", 512, "-fa", flash_attention]
    prefill, = json.loads(run(arguments.llama / "llama-bench", *common, "-p", PREFILL, "-n", 0, "-r", 1, "-o", "json"))
    figures = {("prefill", PREFILL, 1): prefill["avg_ts"]}
    # The context holds the largest batch; llama.cpp leaves a batch out that does not fit.
    for result in objects(run(
            arguments.llama / "llama-batched-bench", *common, "-c", max(BATCHES) * (PROMPT + GENERATE), "-npp", PROMPT,
            "-ntg", GENERATE, "-npl", ",".join(map(str, BATCHES)), "--output-format", "jsonl")):
        figures["decode", PROMPT, result["pl"]] = result["speed_tg"]
    return figures, prefill["build_commit"]


def compare(arguments):
    form, forms = FORMS[arguments.weights]
    path = model(arguments, form)
    ours, peers = [], {"on": [], "off": []}
    for index in range(arguments.repeats):
        print(f"round {index + 1} of {arguments.repeats}", file=sys.stderr)
        ours.append(ferry(arguments, forms))
        for flash_attention, rounds in peers.items():
            figures, commit = llama_cpp(arguments, path, flash_attention)
            rounds.append(figures)
    rows = []
    for figure in FIGURES:
        samples = {setting: [figures[figure] for figures in rounds] for setting, rounds in peers.items()}
        faster = max(samples, key=lambda setting: statistics.median(samples[setting]))
        row = dict(zip(("phase", "prompt", "batch"), figure), ferry={})
        row["llama_cpp"] = dict(
            weights=form, flash_attention=faster, tokens_per_second=statistics.median(samples[faster]), samples=samples)
        for name in forms:
            own = [figures[name][figure] for figures in ours]
            row["ferry"][name] = dict(
                tokens_per_second=statistics.median(own),
                ratio=statistics.median(mine / theirs for mine, theirs in zip(own, samples[faster])), samples=own)
        rows.append(row)
    return dict(
        shape=arguments.shape, weights=arguments.weights, threads=arguments.threads, repeats=arguments.repeats,
        llama_cpp=commit, ferry=run(arguments.ferry, "--version").strip(), results=rows)


def table(report):
    form, forms = FORMS[report["weights"]]
    head = f"{'tokens/s':14}{'llama.cpp ' + form:>16}  {'flash attention':17}" + "".join(f"{'ferry ' + name:>15}  ratio" for name in forms)
    lines = ["{shape}, threads: {threads}, rounds: {repeats}, llama.cpp {llama_cpp}, {ferry}".format(**report), "", head]
    for row in report["results"]:
        peer = row["llama_cpp"]
        line = f"{row['phase']} {row['prompt'] if row['phase'] == 'prefill' else row['batch']}"
        line = f"{line:14}{peer['tokens_per_second']:16.1f}  {peer['flash_attention']:17}"
        lines.append(line + "".join(f"{own['tokens_per_second']:15.1f}{own['ratio']:7.2f}" for own in row["ferry"].values()))
    return "\n".join(lines)


def positive(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--llama", type=Path, required=True, help="folder of llama-bench, llama-batched-bench and llama-quantize")
    options.add_argument("--ferry", type=Path, default=".build/release/ferry")
    options.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    options.add_argument("--weights", choices=FORMS, default="bf16")
    options.add_argument("--threads", type=positive, default=os.cpu_count())
    options.add_argument("--repeats", type=positive, default=5, help="rounds (default: 5)")
    options.add_argument("--work", type=Path, default=Path.home() / ".cache/ferry-peers", help="where models are kept (default: %(default)s)")
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    # An exit like any other, so that the child is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report = compare(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    print(json.dumps(report) if arguments.json else table(report))


if __name__ == "__main__":
    main()
