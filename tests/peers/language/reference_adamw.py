#!/usr/bin/env python3
"""What torch.optim.AdamW makes of a few values: the numbers in trainers/src/optimizer.rs' test."""
import torch

values = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.AdamW([values], lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)
for step in range(5):
    values.grad = torch.tensor([0.3 * (step + 1), -1.0, (-1.0) ** step, 0.0], dtype=torch.float64)
    optimizer.step()
    print([float(f"{x:.9g}") for x in values.tolist()])
