"""A start for training in which look-ups are half there already.
"""

from __future__ import annotations

import torch

from model import Pilot


@torch.no_grad()
def prepare_retrieval(model: Pilot, numbers: list[int], seed: int) -> None:
    """Start with the parts of a look-up circuit in place. From a random start a model this small needs most of a short budget to
    discover them, all at once, before the loss moves at all. Training is free to change everything.

    The residual stream starts with separate regions: a constant, a mark on number tokens, the token itself, and codes of the
    previous token, of the last number seen and of a number found by a reverse look-up. Layer 0 fills the first two codes: one
    head looks back one token (high rotary frequencies, peaked at that distance), one looks for the last number (middle
    frequencies: recent ones win). In layers 1 and 2 a head compares (this token, last number) with (previous token, last number)
    of earlier positions, in the slow rotary frequencies that survive long distances, and copies the token it finds: the answer to
    "what does crate 41 hold". For "which crate holds salt", a head of layer 1 looks for this token elsewhere and fetches the
    number that was last seen there; a head of layer 2 carries it from the last word of a question to the start of the answer."""
    c, generator = model.config, torch.Generator().manual_seed(seed)
    half, scale, hidden = c.head_dim // 2, 0.5, c.hidden
    content, previous = slice(2, hidden // 2), slice(hidden // 2, hidden // 2 + 48)
    last_number, found = slice(hidden // 2 + 48, hidden // 2 + 96), slice(hidden // 2 + 96, hidden // 2 + 128)
    width = content.stop - content.start

    def random(*shape, std=1.0):
        return torch.randn(*shape, generator=generator) * std

    e = model.embed_tokens.weight
    e.zero_()
    e[:, content] = random(e.shape[0], width, std=scale)
    e[:, 0] = 4 * scale
    e[numbers, 1] = 4 * scale
    model.norm.weight.fill_(0.1)
    theta = c.rope_theta ** (-torch.arange(half).float() / half)

    def head(weight, index):  # the rows of one head
        return weight[index * c.head_dim : (index + 1) * c.head_dim]

    # Layer 0: fill the codes.
    a = model.layers[0].self_attn
    for w in (a.q_proj.weight, a.k_proj.weight):
        w.mul_(0.3)
    fast, middle = torch.arange(0, 8), torch.arange(8, 16)

    def look_back(attention, group, index, distance, strength):
        head(attention.k_proj.weight, group)[fast, 0] = strength
        head(attention.q_proj.weight, index)[fast, 0] = strength * torch.cos(distance * theta[fast])
        head(attention.q_proj.weight, index)[half + fast, 0] = -strength * torch.sin(distance * theta[fast])

    look_back(a, 0, 0, 1, 1.7)
    head(a.k_proj.weight, 1)[middle, 1] = 1.5
    head(a.q_proj.weight, 2)[middle, 0] = 1.5
    code = random(2, c.head_dim, width, std=width**-0.5)
    for group in range(2):
        head(a.v_proj.weight, group).zero_()[:, content] = code[group]
    o = a.o_proj.weight
    o[:, : c.head_dim] = 0
    o[:, 2 * c.head_dim : 3 * c.head_dim] = 0
    o[previous, 0:48] = scale * torch.eye(48)
    o[last_number, 2 * c.head_dim : 2 * c.head_dim + 48] = scale * torch.eye(48)

    # Layers 1 and 2, first group: match and copy.
    slow, slower = torch.arange(half - 12, half - 8), torch.arange(half - 8, half)
    slow, slower = torch.cat([slow, slow + half]), torch.cat([slower, slower + half])
    for layer in (1, 2):
        a = model.layers[layer].self_attn
        q, k = head(a.q_proj.weight, 0), head(a.k_proj.weight, 0)
        q.mul_(0.3), k.mul_(0.3)
        pick = torch.randperm(48, generator=generator)[: len(slow)]
        q[slow, content] += 2.5 * code[0][pick]
        k[slow, previous.start + pick] += 2.5
        pick = torch.randperm(48, generator=generator)[: len(slower)]
        q[slower, last_number.start + pick] += 2.5
        k[slower, last_number.start + pick] += 2.5
        basis = torch.linalg.qr(random(width, c.head_dim)).Q
        head(a.v_proj.weight, 0).zero_()[:, content] = basis.T
        a.o_proj.weight[:, : c.head_dim] = 0
        a.o_proj.weight[content, : c.head_dim] = 1.5 * scale * basis

    # Layer 1, second group: where else is this token (not here and not next door), and which number was last seen there?
    columns = slice(2 * c.head_dim, 3 * c.head_dim)
    a = model.layers[1].self_attn
    q, k, v = head(a.q_proj.weight, 2), head(a.k_proj.weight, 1), head(a.v_proj.weight, 1)
    q.mul_(0.3), k.mul_(0.3), v.zero_()
    rows = torch.cat([slow, slower])
    same = random(len(rows), width, std=width**-0.5)
    q[rows, content] += 2.5 * same
    k[rows, content] += 2.5 * same
    q[fast, 0], k[fast, 0] = 1.0, -1.0
    v[torch.arange(48), last_number.start + torch.arange(48)] = 1.0
    a.o_proj.weight[:, columns] = 0
    a.o_proj.weight[found, columns] = scale * torch.eye(32, c.head_dim)

    # Layer 2, second group: from the last word of a question ("...?<|im_end|>\n<|im_start|>assistant\nCrate": 7 tokens back).
    a = model.layers[2].self_attn
    head(a.q_proj.weight, 2).mul_(0.3), head(a.k_proj.weight, 1).mul_(0.3)
    look_back(a, 1, 2, 7, 2.0)
    v = head(a.v_proj.weight, 1).zero_()
    v[torch.arange(32), found.start + torch.arange(32)] = 1.0
    a.o_proj.weight[:, columns] = 0
    a.o_proj.weight[content, columns.start : columns.start + 32] = 2.0 * scale * code[1][:32].T
