#!/usr/bin/env python3
"""Does an adapter that habitus wrote mean the same to PEFT?    check_nll.py MODEL.gguf ADAPTER TEXT

Prints the mean negative log-likelihood of the text (f32, tokens 1..) of the base and with the adapter, and which
tensors of the file PEFT did not take up. Last stdout line: JSON."""
import json, os, sys

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(gguf, adapter, text_path):
    where = (os.path.dirname(os.path.abspath(gguf)), {"gguf_file": os.path.basename(gguf)})
    tokenizer = AutoTokenizer.from_pretrained(where[0], **where[1])
    model = AutoModelForCausalLM.from_pretrained(where[0], dtype=torch.float32, **where[1]).eval()
    ids = torch.tensor([tokenizer(open(text_path, encoding="utf-8").read(), add_special_tokens=False)["input_ids"]])

    def nll(m):
        with torch.no_grad():
            logits = m(ids, use_cache=False).logits[0].double()
        return -torch.log_softmax(logits[:-1], -1).gather(1, ids[0, 1:, None]).mean().item()

    base = nll(model)
    adapted = PeftModel.from_pretrained(model, adapter).eval()
    stored, loaded = load_file(f"{adapter}/adapter_model.safetensors"), get_peft_model_state_dict(adapted)
    unused = sorted(k for k in stored if k not in loaded or not torch.equal(stored[k].float(), loaded[k].float()))
    print(json.dumps({"base": base, "adapted": nll(adapted), "unused": unused, "tensors": len(stored)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
