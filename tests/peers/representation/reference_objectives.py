#!/usr/bin/env python3
"""What PyTorch makes, in 64-bit floats, of each pretraining loss and its gradient:
trainers/tests/data/objectives_expected.json.      reference_objectives.py > FILE

Every number that goes in is an integer hash, so that the test can make it too. A parameter's gradient is kept as its norm
and its product with a hash."""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

from encoder import encode, gelu, mlp, norm_tanh

BATCH, ACTION = 5, 2
IMAGE = {"observations": "image", "size": 12, "channels": [3, 4], "strides": [2, 1], "keypoints": 5, "embedding": 6}
VECTOR = {"observations": "vector", "inputs": 9, "hidden": [8], "embedding": 6}
HEAD = {"hidden": [7, 5], "dropout": 0.0}


def hashed(k, count):
    x = (np.arange(count, dtype=np.uint64) + k * 65536) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ((x ^ (x >> np.uint64(shift))) * factor) & 0xFFFFFFFF
    return x ^ (x >> np.uint64(16))


def v(k, *shape):
    """Numbers in [-1, 1)."""
    x = hashed(k, math.prod(shape)) >> np.uint64(8)
    return torch.tensor(x.astype(np.float64) / (1 << 23) - 1).reshape(shape)


class Parameters:
    """Tensors in the order habitus adds them; number i starts from v(i)."""

    def __init__(self):
        self.tensors = {}

    def add(self, name, *shape):
        value = v(len(self.tensors), *shape)
        if name.endswith("norm.weight"):
            value = 1 + 0.25 * value
        elif name.endswith("bias"):
            value = 0.25 * value
        else:
            # transposed convolutions have their inputs first
            inputs = math.prod(shape) // (shape[1] if "decoder.conv" in name else shape[0])
            value = value * math.sqrt(3 / inputs)
        # habitus computes from f32
        self.tensors[name] = value.to(torch.float32).to(torch.float64).requires_grad_()

    def linear(self, name, inputs, outputs):
        self.add(f"{name}.weight", outputs, inputs)
        self.add(f"{name}.bias", outputs)

    def norm(self, name, size):
        self.add(f"{name}.weight", size)
        self.add(f"{name}.bias", size)

    def mlp(self, name, inputs, outputs, hidden=HEAD["hidden"]):
        widths = [inputs, *hidden, outputs]
        for i, (width, following) in enumerate(zip(widths, widths[1:])):
            self.linear(f"{name}.{i}", width, following)

    def action_encoder(self, actions):
        self.mlp("objective.action.mlp", actions, 64)
        self.norm("objective.action.norm", 64)

    def encoder(self, config):
        if config["observations"] == "vector":
            self.mlp("encoder.mlp", config["inputs"], config["embedding"], config["hidden"])
        else:
            inputs = 3
            for i, channels in enumerate(config["channels"]):
                self.add(f"encoder.convolutions.{i}.weight", channels, inputs, 3, 3)
                self.add(f"encoder.convolutions.{i}.bias", channels)
                inputs = channels
            self.add("encoder.keypoints.weight", config["keypoints"], inputs, 1, 1)
            self.add("encoder.keypoints.bias", config["keypoints"])
            self.linear("encoder.linear", 2 * config["keypoints"], config["embedding"])
        self.norm("encoder.norm", config["embedding"])


def mean_square(a, b):
    return ((a - b) ** 2).mean()


def info_nce(queries, keys, temperature):
    logits = F.normalize(queries) @ F.normalize(keys).T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits)))


def inverse_dynamics(p, config, z, next_z, actions, ahead, _):
    sampled, every = "up_to" in config["ahead"], config["predict"] == "all"
    p.mlp("objective.head", 12 + sampled, ACTION * (actions.shape[1] if every else 1))
    pair = [z(), next_z()] + ([ahead] if sampled else [])
    predicted = torch.tanh(mlp(torch.cat(pair, 1), p.tensors, "objective.head"))
    return {"inverse": mean_square(predicted, actions.flatten(1) if every else actions[:, 0])}


def behavior_cloning(p, _, z, _next, actions, *__):
    p.mlp("objective.head", 6, ACTION)
    return {"cloning": mean_square(torch.tanh(mlp(z(), p.tensors, "objective.head")), actions[:, 0])}


def embed_action(p, actions):
    return norm_tanh(mlp(actions, p.tensors, "objective.action.mlp"), p.tensors, "objective.action.norm")


def explicit_forward(p, config, z, _next, actions, _, next_observation):
    p.action_encoder(ACTION)
    if next_observation.dim() == 2:
        p.mlp("objective.decoder", 6 + 64, 9)
        pair = torch.cat([z(), embed_action(p, actions[:, 0])], 1)
        return {"reconstruction": mean_square(mlp(pair, p.tensors, "objective.decoder"), next_observation)}
    p.linear("objective.decoder.linear", 6 + 64, 2 * 3 * 3)
    layers = [(2, 4, 3, 1), (4, 3, 3, 2), (3, 3, 2, 1)]
    for i, (inputs, outputs, kernel, _) in enumerate(layers):
        p.add(f"objective.decoder.convolutions.{i}.weight", inputs, outputs, kernel, kernel)
        p.add(f"objective.decoder.convolutions.{i}.bias", outputs)
    pair = torch.cat([z(), embed_action(p, actions[:, 0])], 1)
    x = gelu(F.linear(pair, p.tensors["objective.decoder.linear.weight"], p.tensors["objective.decoder.linear.bias"]))
    x = x.reshape(-1, 2, 3, 3)
    for i, (*_, stride) in enumerate(layers):
        name = f"objective.decoder.convolutions.{i}"
        x = F.conv_transpose2d(x, p.tensors[f"{name}.weight"], p.tensors[f"{name}.bias"], stride)
        x = gelu(x) if i < 2 else x
    return {"reconstruction": mean_square(x, next_observation.permute(0, 3, 1, 2) / 255 - 0.5)}


def implicit_forward(p, config, z, next_z, actions, *_):
    p.action_encoder(ACTION)
    p.mlp("objective.now", 6 + 64, config["projection"])
    p.mlp("objective.next", 6, config["projection"])
    pair = torch.cat([z(), embed_action(p, actions[:, 0])], 1)
    queries, keys = mlp(pair, p.tensors, "objective.now"), mlp(next_z(), p.tensors, "objective.next")
    return {"contrastive": info_nce(queries, keys, config["temperature"])}


def static_contrastive(p, config, z, next_z, *_):
    p.mlp("objective.now", 6, config["projection"])
    p.mlp("objective.next", 6, config["projection"])
    queries, keys = mlp(z(), p.tensors, "objective.now"), mlp(next_z(), p.tensors, "objective.next")
    return {"contrastive": info_nce(queries, keys, config["temperature"])}


def inverse_forward(p, config, z, next_z, actions, *_):
    steps = config["steps"]
    p.mlp("objective.inverse", 12, ACTION * steps)
    p.action_encoder(ACTION * steps)
    p.mlp("objective.forward", 6 + 64, 6)
    inferred = torch.tanh(mlp(torch.cat([z(), next_z()], 1), p.tensors, "objective.inverse"))
    predicted = mlp(torch.cat([z(), embed_action(p, actions.flatten(1))], 1), p.tensors, "objective.forward")
    return {
        "inverse": mean_square(inferred, actions.flatten(1)),
        "forward": config["weight"] * mean_square(predicted, next_z().detach()),
    }


def action_free(p, config, z, next_z, *_):
    p.mlp("objective.inverse", 12, config["latent_action"])
    p.mlp("objective.forward", 6 + config["latent_action"], 6)
    latent = torch.tanh(mlp(torch.cat([z(), next_z()], 1), p.tensors, "objective.inverse"))
    predicted = mlp(torch.cat([z(), latent], 1), p.tensors, "objective.forward")
    covariance = torch.cov(z().T)
    off_diagonal = covariance - torch.diag(torch.diag(covariance))
    deviation = (z().var(0) + 1e-6).sqrt()
    return {
        "forward": (1 - F.cosine_similarity(predicted, next_z().detach())).mean(),
        "variance": config["variance"] * F.relu(config["deviation"] - deviation).mean(),
        "covariance": config["covariance"] * (off_diagonal**2).sum() / 6,
    }


CASES = [
    ("inverse dynamics", inverse_dynamics, IMAGE, {"ahead": {"fixed": 1}, "predict": "first", "head": HEAD}),
    ("inverse dynamics, sampled", inverse_dynamics, IMAGE, {"ahead": {"up_to": 3}, "predict": "first", "head": HEAD}),
    ("inverse dynamics, all", inverse_dynamics, VECTOR, {"ahead": {"fixed": 3}, "predict": "all", "head": HEAD}),
    ("behavior cloning", behavior_cloning, IMAGE, {"head": HEAD}),
    ("explicit forward, images", explicit_forward, IMAGE, {"head": HEAD}),
    ("explicit forward, vectors", explicit_forward, VECTOR, {"head": HEAD}),
    ("implicit forward", implicit_forward, VECTOR, {"temperature": 0.5, "head": HEAD, "projection": 4}),
    ("static contrastive", static_contrastive, VECTOR, {"temperature": 1.0, "head": HEAD, "projection": 4}),
    ("inverse and forward", inverse_forward, IMAGE, {"steps": 2, "weight": 0.5, "head": HEAD, "forward": HEAD}),
    (
        "action free",
        action_free,
        VECTOR,
        {"latent_action": 3, "head": HEAD, "variance": 1.0, "deviation": 0.75, "covariance": 0.25},
    ),
]


def case(title, loss, encoder, config):
    config = {"name": loss.__name__, **config}
    steps = max(config.get("ahead", {}).get("fixed", 1), config.get("ahead", {}).get("up_to", 1), config.get("steps", 1))
    shape = (BATCH, 12, 12, 3) if encoder is IMAGE else (BATCH, 9)
    if encoder is IMAGE:
        observations = [torch.tensor(hashed(k, math.prod(shape)).astype(np.int64) % 256).reshape(shape) for k in (900, 901)]
    else:
        observations = [v(k, *shape) for k in (900, 901)]
    actions = v(902, BATCH, steps, ACTION)
    ahead = torch.tensor([[(1 + i % steps) / steps] for i in range(BATCH)], dtype=torch.float64)
    p = Parameters()
    p.encoder(encoder)
    z, next_z = (lambda o=o: encode(encoder, p.tensors, o) for o in observations)
    terms = loss(p, config, z, next_z, actions, ahead, observations[1])
    sum(terms.values()).backward()
    gradients = []
    for i, (name, tensor) in enumerate(p.tensors.items()):
        product = (tensor.grad * v(500 + i, *tensor.shape)).sum().item()
        gradients.append([name, list(tensor.shape), tensor.grad.norm().item(), product])
    return {
        "title": title,
        "encoder": encoder,
        "objective": config,
        "terms": [[name, term.item()] for name, term in terms.items()],
        "gradients": gradients,
    }


def rounded(x):
    return [rounded(y) for y in x] if isinstance(x, list) else float(f"{x:.9g}") if isinstance(x, float) else x


def compact(case):
    lines = [f'"{key}":{json.dumps(rounded(value), separators=(",", ":"))}' for key, value in case.items()]
    return "{" + ",\n".join(lines) + "}"


print("[" + ",\n".join(compact(case(*arguments)) for arguments in CASES) + "]")
