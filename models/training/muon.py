"""The optimiser of the matrices.
"""

from __future__ import annotations

import torch


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by a Newton-Schulz iteration (Jordan et al., 2024). Matrices of one shape are handled as a batch."""

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        shapes: dict[tuple, list] = {}
        for p in params:
            shapes.setdefault(tuple(p.shape), []).append(p)
        super().__init__([{"params": ps} for ps in shapes.values()], {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @staticmethod
    def orthogonalise(m: torch.Tensor, steps: int = 5) -> torch.Tensor:
        tall = m.shape[-2] > m.shape[-1]
        x = m.mT if tall else m
        x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16().contiguous()
        for _ in range(steps):
            s = x @ x.mT
            x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
        return (x.mT if tall else x).float()

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            ps = group["params"]
            if "momentum_buffer" not in (state := self.state[ps[0]]):
                state["momentum_buffer"] = torch.zeros(len(ps), *ps[0].shape, device=ps[0].device)
            buffer, gradient = state["momentum_buffer"], torch.stack([p.grad for p in ps])
            buffer.lerp_(gradient, 1 - group["momentum"])
            update = self.orthogonalise(gradient.lerp_(buffer, group["momentum"]))
            scale = group["lr"] * max(1.0, ps[0].shape[0] / ps[0].shape[1]) ** 0.5
            for p, u in zip(ps, update):
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(u, alpha=-scale)
