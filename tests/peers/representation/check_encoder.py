#!/usr/bin/env python3
"""check_encoder.py ENCODER.safetensors EMBEDDINGS.safetensors: whether PyTorch's embeddings equal those of habitus to 1e-5.

The second file holds `observations` and what habitus made of them, `embeddings`; run.sh makes both."""
import sys

import torch
from safetensors.torch import load_file

import encoder

config, tensors = encoder.load(sys.argv[1])
file = load_file(sys.argv[2])
difference = (encoder.encode(config, tensors, file["observations"]) - file["embeddings"]).abs().max().item()
print(f"{config['observations']}: {len(file['embeddings'])} embeddings of {config['embedding']}, largest difference {difference:.2e}")
sys.exit(difference > 1e-5)
