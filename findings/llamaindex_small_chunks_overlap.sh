#!/usr/bin/env bash
# A small chunk size makes LlamaIndex cut a text into nearly as many chunks as it has words.
#
# Expected: SentenceSplitter(chunk_size=200) makes about 3 chunks of 600 words.
# What happens: the overlap stays at its default of 200 tokens. It may equal the chunk size (only a larger one is
#   refused), and each chunk then begins one word after the one before it.
# Version: llama-index-core 0.14.25.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages llama-index-core==0.14.25
"$python" - <<'PYTHON'
from llama_index.core import Document
from llama_index.core.node_parser import SentenceSplitter

text = Document(text="word " * 600)
found = {}
for size in (400, 201, 200):
    found[size] = len(SentenceSplitter(chunk_size=size).get_nodes_from_documents([text]))
    print(f"600 words, chunk_size={size}: {found[size]} chunks")
assert found[200] > 300 and found[400] < 10, f"no longer so: {found}"
PYTHON
