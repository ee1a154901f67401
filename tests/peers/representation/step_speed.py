#!/usr/bin/env python3
"""Core-milliseconds an image of PyTorch's inverse dynamics step: paper_84 and small, batch 64, one thread, bf16 and channels-last
against f32. Beside it, in the same minutes: the ignored test `step_speed` of crate trainers."""
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)


class Encoder(nn.Module):
    def __init__(self, channels, keypoints, places):
        super().__init__()
        widths = [3, *channels]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, s) for a, b, s in zip(widths, widths[1:], (2, 2, 1, 1)))
        self.keypoints, self.linear, self.norm = nn.Conv2d(widths[-1], keypoints, 1), nn.Linear(2 * keypoints, 64), nn.LayerNorm(64)
        line = torch.linspace(-1, 1, places)
        self.register_buffer("places", torch.stack([line.repeat(places), line.repeat_interleave(places)], -1))

    def forward(self, x, kind):
        with torch.autocast("cpu", kind, enabled=kind is not torch.float32):
            for convolution in self.convolutions:
                x = F.gelu(convolution(x), approximate="tanh")
            x = self.keypoints(x)
        attention = torch.softmax(x.float().flatten(2), -1)
        return torch.tanh(self.norm(self.linear((attention @ self.places).flatten(1))))


for name, size, steps, shape in (("paper_84", 84, 8, ([32, 64, 128, 256], 256, 16)), ("small", 48, 64, ([16, 32, 64, 64], 64, 7))):
    for kind in (torch.float32, torch.bfloat16):
        encoder = Encoder(*shape).to(memory_format=torch.channels_last)
        head = nn.Sequential(nn.Linear(128, 256), nn.GELU("tanh"), nn.Dropout(0.1), nn.Linear(256, 256), nn.GELU("tanh"), nn.Dropout(0.1), nn.Linear(256, 2), nn.Tanh())
        optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], 1e-3, weight_decay=1e-4)
        for step in range(1 + steps):
            if step == 1:
                start = time.process_time()
            frames = torch.randint(0, 256, (128, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2).float() / 255
            z = encoder(frames, kind)
            loss = ((head(torch.cat([z[:64], z[64:]], 1)) - torch.rand(64, 2)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"{name} {kind}: {1000 * (time.process_time() - start) / steps / 128:.3f} core-ms an image over {steps} steps of 128")
