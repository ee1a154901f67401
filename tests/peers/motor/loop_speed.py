#!/usr/bin/env python3
"""What the usual way of learning costs: proximal policy optimization in PyTorch, as Stable-Baselines3 does it, around MyoSuite's
environment, in environment steps per second of one core's time, learning included; then habitus's own loop in the same run. And
what the environments alone cost, with random actions: MyoSuite's of a free hand and of two objects, EnvPool's of the same names,
and habitus's of the same.

    ../language/run.sh VENV loop_speed.py --hand HAND [--envpool ENVPOOL] [--rounds 3] [--habitus ../../../habitus]

VENV is made by ../language/setup.sh, HAND by ../hand/setup.sh, ENVPOOL by setup_envpool.sh. Network 256-128, 5 epochs, as habitus's recipe."""
import argparse
import json
import os
import subprocess
import sys
import time

ALONE = {  # MyoSuite's environments and habitus's scenarios
    "myoHandPoseRandom-v0": "scenarios/hand/pose.toml",
    "MyoHandAirplaneFly-v0": "scenarios/hand/track/airplane_fly.toml",
    "MyoHandCupDrink-v0": "scenarios/hand/track/cup_drink.toml",
}
ENVS, STEPS, EPOCHS, MINIBATCH, GAMMA, LAMBDA, CLIP = 8, 256, 5, 256, 0.95, 0.95, 0.2


def peer(rounds):
    import gymnasium
    import numpy as np
    import torch
    import myosuite  # noqa: F401

    torch.set_num_threads(1)
    envs = [gymnasium.make("myoHandPoseRandom-v0") for _ in range(ENVS)]
    seen = np.stack([env.reset(seed=i)[0] for i, env in enumerate(envs)])
    size, actions = seen.shape[1], envs[0].action_space.shape[0]

    def mlp(outputs):
        return torch.nn.Sequential(torch.nn.Linear(size, 256), torch.nn.Tanh(), torch.nn.Linear(256, 128), torch.nn.Tanh(),
                                   torch.nn.Linear(128, outputs))

    policy, critic, log_std = mlp(actions), mlp(1), torch.full((actions,), -1.0, requires_grad=True)
    parameters = [*policy.parameters(), *critic.parameters(), log_std]
    optimizer = torch.optim.Adam(parameters, lr=3e-4, eps=1e-5)

    def iteration(seen):
        rows = {name: [] for name in ("seen", "action", "density", "value", "reward", "end")}
        for _ in range(STEPS):
            with torch.no_grad():
                x = torch.as_tensor(seen, dtype=torch.float32)
                normal = torch.distributions.Normal(policy(x), log_std.exp())
                action = normal.sample()
                density, value = normal.log_prob(action).sum(-1), critic(x).squeeze(-1)
            bounded, following, reward, end = action.clamp(-1, 1).numpy(), [], [], []
            for env, a in zip(envs, bounded):
                o, r, terminated, truncated, _ = env.step(a)
                if terminated or truncated:
                    o, _ = env.reset()
                following.append(o), reward.append(r), end.append(terminated or truncated)
            for name, row in zip(rows, (x, action, density, value, torch.tensor(reward), torch.tensor(end))):
                rows[name].append(row)
            seen = np.stack(following)
        with torch.no_grad():
            value = critic(torch.as_tensor(seen, dtype=torch.float32)).squeeze(-1)
        advantage, advantages = torch.zeros(ENVS), []
        for t in reversed(range(STEPS)):
            going = 1.0 - rows["end"][t].float()
            error = rows["reward"][t].float() + GAMMA * going * value - rows["value"][t]
            advantage, value = error + GAMMA * LAMBDA * going * advantage, rows["value"][t]
            advantages.append(advantage)
        advantages = torch.stack(advantages[::-1]).flatten()
        flat = {name: torch.stack(list_).flatten(0, 1) for name, list_ in rows.items()}
        returns = advantages + flat["value"]
        for _ in range(EPOCHS):
            for part in torch.randperm(len(returns)).split(MINIBATCH):
                x, a = flat["seen"][part], advantages[part]
                a = (a - a.mean()) / (a.std() + 1e-8)
                ratio = (torch.distributions.Normal(policy(x), log_std.exp()).log_prob(flat["action"][part]).sum(-1)
                         - flat["density"][part]).exp()
                loss = -torch.min(ratio * a, ratio.clamp(1 - CLIP, 1 + CLIP) * a).mean()
                loss = loss + 0.5 * ((critic(x).squeeze(-1) - returns[part]) ** 2).mean()
                optimizer.zero_grad(), loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 0.5)
                optimizer.step()
        return seen

    seen = iteration(seen)
    rates = []
    for _ in range(rounds):
        start = time.process_time()
        seen = iteration(seen)
        rates.append(ENVS * STEPS / (time.process_time() - start))
    return sorted(rates)


def alone(name, steps=1500):
    import gymnasium
    import numpy as np
    import myosuite  # noqa: F401

    env = gymnasium.make(name)
    env.reset(seed=1)
    low, high = env.action_space.low, env.action_space.high
    actions = np.random.default_rng(1).uniform(low, high, (steps, len(low)))
    start = time.process_time()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return steps / (time.process_time() - start)


ENVPOOL = '''
import sys, time, envpool, numpy as np
env = envpool.make_gymnasium(sys.argv[1], num_envs=8, num_threads=1, seed=0)
env.reset()
low, high = env.action_space.low, env.action_space.high
actions = np.random.default_rng(1).uniform(low, high, (200, 8, len(low))).astype(np.float32)
steps, start = 0, time.process_time()
for action in actions:  # a call after an episode's end starts the next one and is no step
    steps += int((env.step(action)[-1]["elapsed_step"] > 0).sum())
print(steps / (time.process_time() - start))
'''


def middle(rates):
    return sorted(rates)[len(rates) // 2]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    arguments.add_argument("--hand", required=True)
    arguments.add_argument("--envpool")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--habitus", default=os.path.join(here, "../../../habitus"))
    chosen = arguments.parse_args()
    root = os.path.dirname(os.path.abspath(chosen.habitus))
    sys.path.append(os.path.join(chosen.hand, "lib", f"python3.{sys.version_info.minor}", "site-packages"))
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "PYTHON"))}

    def bench(scenario):
        command = [chosen.habitus, "bench", "motor", "--json", "--set", f'scenario=["{scenario}"]']
        done = subprocess.run(command, cwd=root, env=clean, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    def pool(name):
        command = [os.path.join(chosen.envpool, "bin/python"), "-c", ENVPOOL, name]
        done = subprocess.run(command, cwd=root, env=clean, check=True, capture_output=True, text=True)
        return float(done.stdout.splitlines()[-1])

    rates = {"loop": ([], []), **{name: ([], []) for name in ALONE}}
    pools = {name: [] for name in ALONE}
    for _ in range(chosen.rounds):
        rates["loop"][0].extend(peer(1))
        for name, scenario in ALONE.items():
            rates[name][0].append(alone(name))
            if chosen.envpool:
                pools[name].append(pool(name))
            found = bench(scenario)
            rates[name][1].append(found["env_steps_per_core_second"])
            if name == "myoHandPoseRandom-v0":
                rates["loop"][1].append(found["loop_env_steps_per_core_second"])
    rows = {name: {"peer": [round(x, 1) for x in sorted(theirs)], "habitus": [round(x, 1) for x in sorted(ours)],
                   "ratio": round(middle(ours) / middle(theirs), 2)} for name, (theirs, ours) in rates.items()}
    for name, theirs in pools.items():
        if theirs:
            rows[name]["envpool"] = [round(x, 1) for x in sorted(theirs)]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
