"""Opens a packed file with the reference implementation of safetensors, beside the file that it was made of.

    python packed_file.py PACKED PLAIN
"""

from __future__ import annotations

import json
import sys

from safetensors import safe_open


def check(packed_path: str, plain_path: str) -> None:
    with safe_open(packed_path, framework="numpy") as packed, safe_open(plain_path, framework="numpy") as plain:
        assert set(packed.keys()) == set(plain.keys())
        metadata = packed.metadata()
        description = json.loads(metadata.pop("ferry.enec"))
        assert metadata == (plain.metadata() or {}), metadata
        assert description["version"] == 1
        assert {tensor["name"] for tensor in description["tensors"]} == set(plain.keys())
        coded = [tensor for tensor in description["tensors"] if tensor["codec"] != "raw"]
        assert coded, "nothing is coded"
        for tensor in description["tensors"]:
            before = plain.get_slice(tensor["name"])
            after = packed.get_slice(tensor["name"])
            if tensor["codec"] == "raw":
                assert (after.get_dtype(), after.get_shape()) == (before.get_dtype(), before.get_shape()), tensor
            else:
                assert after.get_dtype() == "U8" and len(after.get_shape()) == 1 and after.get_shape()[0] % 64 == 0, tensor
                assert (tensor["dtype"], tensor["shape"]) == (before.get_dtype(), before.get_shape()), tensor
                blob = packed.get_tensor(tensor["name"])
                assert not blob[-64:].any(), "a blob ends in zeros"
                lengths = blob[: 4 * tensor["blocks"]].view("<u4")
                assert (lengths > 0).all() and int(lengths.sum()) < len(blob), tensor


if __name__ == "__main__":
    check(*sys.argv[1:])
