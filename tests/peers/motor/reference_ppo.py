#!/usr/bin/env python3
"""What NumPy and PyTorch make, in 64-bit floats, of generalized advantages, of V-trace, of the loss and gradient of proximal
policy optimization, and of the densities of gSDE and Lattice: trainers/tests/data/ppo_expected.json.

    ../language/run.sh VENV reference_ppo.py > FILE

Advantages and V-trace's targets are the sums of the papers, not their recursions; Lattice's density is PyTorch's multivariate
normal distribution. Numbers that go in are in the file."""
import json

import numpy as np
import torch
import torch.nn.functional as F

OBSERVATION, ACTION, HIDDEN, WORLDS, STEPS = 3, 2, 4, 2, 3
ROWS = WORLDS * STEPS
GAMMA, LAMBDA, CLIP, CLIP_VALUE, VALUE, ENTROPY, OUTSIDE, SCALE = 0.9, 0.8, 0.2, 0.3, 0.7, 0.01, 0.05, 0.5
BOUNDS = [[-0.9, 0.3], [-0.2, 0.6]]
rng = np.random.default_rng(7)


def draw(*shape):
    return rng.uniform(-1, 1, shape).astype(np.float32).astype(np.float64)


def advantages(rewards, values, ends, after):
    """Of rows steps x worlds; ends: 0 goes on, 1 terminated, 2 truncated."""
    found = np.zeros_like(rewards)
    for world in range(WORLDS):
        for t in range(STEPS):
            factor = 1.0
            for later in range(t, STEPS):
                row = later * WORLDS + world
                following = {0: lambda: values[row + WORLDS], 1: lambda: 0.0, 2: lambda: after[row]}[ends[row]]()
                found[t * WORLDS + world] += factor * (SCALE * rewards[row] + GAMMA * following - values[row])
                if ends[row] != 0:
                    break
                factor *= GAMMA * LAMBDA
    return found


def v_trace(rewards, values, ends, after, log_ratios):
    """Targets and advantages by the sum of Espeholt et al. 2018, equation 1, with c = lambda min(1, ratio) as in its remark 2;
    the advantage takes lambda as well, so that it is the generalized one where all ratios are 1."""
    clipped = np.minimum(1.0, np.exp(log_ratios))
    error = np.zeros_like(rewards)
    for row in range(ROWS):
        following = {0: lambda: values[row + WORLDS], 1: lambda: 0.0, 2: lambda: after[row]}[ends[row]]()
        error[row] = SCALE * rewards[row] + GAMMA * following - values[row]
    off, advantage = np.zeros_like(rewards), np.zeros_like(rewards)
    for world in range(WORLDS):
        for t in range(STEPS):
            factor = 1.0
            for later in range(t, STEPS):
                row = later * WORLDS + world
                off[t * WORLDS + world] += factor * clipped[row] * error[row]
                if ends[row] != 0:
                    break
                factor *= GAMMA * LAMBDA * clipped[row]
    for row in range(ROWS):
        later = off[row + WORLDS] if ends[row] == 0 else 0.0
        advantage[row] = clipped[row] * (error[row] + GAMMA * LAMBDA * later)
    return values + off, advantage


def explorations(tensors, observations, actions):
    """Log densities and entropies of actions under gSDE and Lattice, and the gradient of their weighted sums."""
    found = {}
    for name, width in [("gsde", ACTION), ("lattice", ACTION + HIDDEN)]:
        log_std = draw(HIDDEN, width) - 0.5
        parameters = [torch.tensor(t, requires_grad=True) for t in [*tensors[:8], log_std]]
        w, b, v, c = parameters[:4]
        latent = F.gelu(F.linear(torch.tensor(observations), w, b), approximate="tanh")
        mean, fixed, std = F.linear(latent, v, c), latent.detach(), parameters[8].exp()
        own = torch.stack([sum(fixed[:, i] ** 2 * std[i, a] ** 2 for i in range(HIDDEN)) for a in range(ACTION)], -1) + 1e-6
        covariance = torch.diag_embed(own)
        if name == "lattice":
            shared = (fixed ** 2) @ (std[:, ACTION:] ** 2)
            covariance = covariance + torch.einsum("ai,ri,bi->rab", v, shared, v)
        normal = torch.distributions.MultivariateNormal(mean, covariance)
        density, entropy = normal.log_prob(torch.tensor(actions)), normal.entropy()
        weights = draw(2, ROWS)
        loss = (density * torch.tensor(weights[0])).sum() + (entropy * torch.tensor(weights[1])).sum()
        gradient = torch.autograd.grad(loss, parameters, allow_unused=True)
        gradient = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradient)]
        found[name] = {"log_std": log_std, "weights": weights, "density": density.detach(), "entropy": entropy.detach(),
                       "gradient": np.concatenate([g.numpy().reshape(-1) for g in gradient])}
    return found


def main():
    shapes = [("policy", ACTION), ("critic", 1)]
    tensors = []
    for _, outputs in shapes:
        tensors += [draw(HIDDEN, OBSERVATION), draw(HIDDEN), draw(outputs, HIDDEN), draw(outputs)]
    tensors.append(draw(ACTION))
    parameters = [torch.tensor(t, requires_grad=True) for t in tensors]
    observations, actions = draw(ROWS, OBSERVATION), draw(ROWS, ACTION)
    rewards, values = draw(ROWS), draw(ROWS)
    # The first world ends by itself after its second step, the second is cut there; both are cut at the end.
    ends = [0, 0, 1, 2, 2, 2]
    after = draw(ROWS) * np.array([end == 2 for end in ends])
    advantage = advantages(rewards, values, ends, after)
    returns = advantage + values

    def network(x):
        x = torch.tensor(x)
        outputs = []
        for i in (0, 4):
            w, b, v, c = parameters[i:i + 4]
            outputs.append(F.linear(F.gelu(F.linear(x, w, b), approximate="tanh"), v, c))
        return outputs[0], outputs[1].squeeze(-1)

    mean, value = network(observations)
    density = torch.distributions.Normal(mean, parameters[8].exp())
    log_probability = density.log_prob(torch.tensor(actions)).sum(-1)
    # Near enough that some ratios are clipped and some are not.
    before = (log_probability.detach().numpy() + 0.4 * draw(ROWS)).astype(np.float32).astype(np.float64)
    ratio = (log_probability - torch.tensor(before)).exp()
    a = torch.tensor((advantage - advantage.mean()) / (advantage.std() + 1e-8))
    policy = -torch.min(ratio * a, ratio.clamp(1 - CLIP, 1 + CLIP) * a).mean()
    target, old = torch.tensor(returns), torch.tensor(values)
    near = old + (value - old).clamp(-CLIP_VALUE, CLIP_VALUE)
    critic = torch.max((value - target) ** 2, (near - target) ** 2).mean()
    entropy = density.entropy().sum(-1).mean()
    middle, half = [torch.tensor([(high + sign * low) / 2 for low, high in BOUNDS]) for sign in (1, -1)]
    outside = (((mean - middle) / half).abs() - 1).clamp(min=0).pow(2).sum(-1).mean()
    assert outside > 0
    loss = policy + VALUE * critic - ENTROPY * entropy + OUTSIDE * outside
    gradient = torch.autograd.grad(loss, parameters)
    clipped = ((ratio - 1).abs() > CLIP).double().mean()
    assert 0 < clipped < 1
    kl = torch.mean((ratio - 1) - ratio.log())

    log_ratios = 0.8 * draw(ROWS)
    targets, corrected = v_trace(rewards, values, ends, after, log_ratios)
    same_targets, same = v_trace(rewards, values, ends, after, np.zeros(ROWS))
    assert np.allclose(same, advantage) and np.allclose(same_targets, returns)

    def listed(x):
        return [float(f"{v:.9g}") for v in np.asarray(x).reshape(-1)]

    print(json.dumps({
        "sizes": [OBSERVATION, ACTION], "hidden": [HIDDEN], "worlds": WORLDS,
        "settings": {"gamma": GAMMA, "lambda": LAMBDA, "clip": CLIP, "clip_value": CLIP_VALUE, "value": VALUE,
                     "entropy": ENTROPY, "outside": OUTSIDE, "reward_scale": SCALE},
        "bounds": BOUNDS,
        "values_of_parameters": listed(np.concatenate([t.reshape(-1) for t in tensors])),
        "observations": listed(observations), "actions": listed(actions), "log_probabilities": listed(before),
        "values": listed(values), "rewards": listed(rewards), "ends": ends, "after": listed(after),
        "v_trace": {"log_ratios": listed(log_ratios), "targets": listed(targets), "advantages": listed(corrected)},
        "explorations": {name: {key: listed(x) for key, x in of.items()}
                         for name, of in explorations(tensors, observations, actions).items()},
        "expected": {
            "advantages": listed(advantage), "returns": listed(returns),
            "losses": {"policy": policy.item(), "value": critic.item(), "entropy": entropy.item(),
                       "outside": outside.item(), "kl": kl.item(), "clipped": clipped.item()},
            "gradient": listed(np.concatenate([g.numpy().reshape(-1) for g in gradient])),
        },
    }, indent=1))


if __name__ == "__main__":
    main()
