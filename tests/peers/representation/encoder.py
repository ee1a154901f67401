"""The encoder of inverse dynamics pretraining in PyTorch, built from a safetensors file that habitus wrote: the names and
shapes of its tensors, and the shape of the encoder as JSON under "encoder" in the metadata."""
import json

import torch
import torch.nn.functional as F
from safetensors import safe_open


def load(path):
    """The encoder's shape and its tensors by name."""
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["encoder"]), {name: file.get_tensor(name) for name in file.keys()}


def gelu(x):
    return F.gelu(x, approximate="tanh")


def mlp(x, tensors, name):
    """Linear layers `name`.0, `name`.1, ... with GELU between them."""
    last = sum(key.startswith(name + ".") and key.endswith(".weight") for key in tensors) - 1
    for i in range(last + 1):
        x = F.linear(x, tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"])
        x = gelu(x) if i < last else x
    return x


def norm_tanh(x, tensors, name):
    return torch.tanh(F.layer_norm(x, x.shape[-1:], tensors[f"{name}.weight"], tensors[f"{name}.bias"], 1e-6))


def encode(config, tensors, observations):
    """Images u8 (batch, size, size, 3) or vectors (batch, inputs) to embeddings (batch, embedding)."""
    kind = tensors["encoder.norm.weight"].dtype
    if config["observations"] == "vector":
        return norm_tanh(mlp(observations.to(kind), tensors, "encoder.mlp"), tensors, "encoder.norm")
    x = observations.permute(0, 3, 1, 2).to(kind) / 255
    for i, stride in enumerate(config["strides"]):
        name = f"encoder.convolutions.{i}"
        x = gelu(F.conv2d(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride))
    x = F.conv2d(x, tensors["encoder.keypoints.weight"], tensors["encoder.keypoints.bias"])
    rows, columns = x.shape[2:]
    attention = torch.softmax(x.flatten(2), -1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, rows, dtype=kind), torch.linspace(-1, 1, columns, dtype=kind), indexing="ij")
    places = torch.stack([x.flatten(), y.flatten()], -1)
    x = (attention @ places).flatten(1)
    x = F.linear(x, tensors["encoder.linear.weight"], tensors["encoder.linear.bias"])
    return norm_tanh(x, tensors, "encoder.norm")
