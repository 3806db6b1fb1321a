#!/usr/bin/env bash
# LlamaIndex embeds every file again after a fresh checkout, although it embeds nothing that has changed.
#
# Expected: an IngestionPipeline with a document store skips documents whose text, and whatever else is embedded, is as
#   it was.
# What happens: a document's hash covers all its metadata. SimpleDirectoryReader puts the day of the file's last change
#   there, and takes it out of what is embedded. So files that another day's checkout, copy or build wrote with the same
#   content are deleted and embedded again, from the same strings.
# Version: llama-index-core 0.14.25.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages llama-index-core==0.14.25
mkdir "$work/docs"
for n in $(seq 20); do echo "text $n" >"$work/docs/$n.txt"; done
"$python" - "$work/docs" <<'PYTHON'
import os
import sys
from pathlib import Path

from llama_index.core import SimpleDirectoryReader
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore

folder = Path(sys.argv[1])
embedded = []


class Recording(BaseEmbedding):
    def _get_text_embedding(self, text):
        embedded.append(text)
        return [1.0, 0.0]

    def _get_query_embedding(self, query):
        return [1.0, 0.0]

    async def _aget_query_embedding(self, query):
        return [1.0, 0.0]


pipeline = IngestionPipeline(
    transformations=[SentenceSplitter(), Recording()],
    docstore=SimpleDocumentStore(),
    vector_store=SimpleVectorStore(),
)
found = []
for what, day in (("new", 100), ("as they were", 100), ("with the date of the next day", 101)):
    for path in folder.iterdir():
        os.utime(path, (day * 86400, day * 86400))
    embedded.clear()
    pipeline.run(documents=SimpleDirectoryReader(folder, filename_as_id=True).load_data())
    found.append(sorted(embedded))
    print(f"20 files, {what}: {len(embedded)} texts embedded")
print("the strings embedded the first and the last time are the same:", found[0] == found[2])
assert [len(texts) for texts in found] == [20, 0, 20] and found[0] == found[2], "no longer so"
PYTHON
