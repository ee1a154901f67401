#!/usr/bin/env python3
"""What transformers says of a fixed text: the reference values in trainers/tests/data/english.json.

    reference_nll.py MODEL.gguf TEXT > english.json

Loads the GGUF file in f32 with transformers (`gguf_file=`), tokenizes the text without special tokens and prints the
number of tokens, the first 12 ids, the mean negative log-likelihood in nats of tokens 1.., and a few logits."""
import json, os, sys

import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(gguf, text_path):
    torch.set_num_threads(1)
    where = (os.path.dirname(os.path.abspath(gguf)), {"gguf_file": os.path.basename(gguf)})
    tokenizer = AutoTokenizer.from_pretrained(where[0], **where[1])
    model = AutoModelForCausalLM.from_pretrained(where[0], dtype=torch.float32, **where[1]).eval()
    ids = tokenizer(open(text_path, encoding="utf-8").read(), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0].double()
    nll = -torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:])[:, None]).mean().item()
    prompt = tokenizer("The capital of France is", add_special_tokens=False)["input_ids"]
    greedy = model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False, pad_token_id=2)[0, len(prompt):].tolist()
    print(json.dumps({"made_by": f"transformers {transformers.__version__}, torch {torch.__version__}, f32", "tokens": len(ids),
                      "first_ids": ids[:12], "ids_sum": sum(i * (n % 97 + 1) for n, i in enumerate(ids)), "mean_nll": nll,
                      "logits_5_1000": logits[5, 1000:1004].tolist(), "greedy_prompt_ids": prompt, "greedy": greedy}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
