#!/usr/bin/env bash
# The vectors that LlamaIndex makes of a folder of files depend on where the folder lies.
#
# Expected: the same files in another folder (another checkout, container or machine) give the same vectors, and to
#   encode the text of a stored node again gives its vector again.
# What happens: SimpleDirectoryReader puts seven facts about a file into the metadata, takes all but one of them out of
#   what is embedded, and leaves in the absolute path. So "file_path: ...", a blank line and then the text is what goes
#   to the model, while the node that is kept has the bare text.
# Version: llama-index-core 0.14.25.
# Source: measured here; that metadata is embedded is in its documentation, which fact about a file is, in a comment of
#   llama_index/core/readers/file/base.py.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages llama-index-core==0.14.25
mkdir "$work/here" "$work/there"
echo "Take it twice a day." | tee "$work/here/dose.txt" >"$work/there/dose.txt"
"$python" - "$work/here" "$work/there" <<'PYTHON'
import sys

from llama_index.core import SimpleDirectoryReader
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter

embedded = []


class Recording(BaseEmbedding):
    def _get_text_embedding(self, text):
        embedded.append(text)
        return [1.0, 0.0]

    def _get_query_embedding(self, query):
        return [1.0, 0.0]

    async def _aget_query_embedding(self, query):
        return [1.0, 0.0]


for folder in sys.argv[1:]:
    documents = SimpleDirectoryReader(folder).load_data()
    (node,) = IngestionPipeline(transformations=[SentenceSplitter(), Recording()]).run(documents=documents)
    print(f"the node's text: {node.text!r}\nembedded:        {embedded[-1]!r}")
    assert node.text == "Take it twice a day.", "no longer so"
    assert embedded[-1] == f"file_path: {folder}/dose.txt\n\n{node.text}", "no longer so"
PYTHON
