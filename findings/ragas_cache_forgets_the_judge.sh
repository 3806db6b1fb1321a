#!/usr/bin/env bash
# With RAGAS's cache, a second judge is never asked: it is given the verdicts of the first.
#
# Expected: the cache that llm_factory takes ("recommended for experiments") tells models apart.
# What happens: the key is the method's name and its arguments, the prompt. The model, the endpoint, the temperature and
#   the system prompt are not in it. So a comparison of two judges over one cache finds that they agree wholly.
# Version: ragas 0.4.3 (with langchain-community 0.4.1; it does not import with 0.4.2).
# Source: measured here against two judges of our own on loopback, a lenient and a strict one; upstream 2983.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/python.sh"
packages ragas==0.4.3 langchain-community==0.4.1 instructor==1.17.0 openai==2.54.0
RAGAS_DO_NOT_TRACK=true "$python" -W ignore - "$work/cache" <<'PYTHON'
import asyncio
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from openai import AsyncOpenAI
from ragas.cache import DiskCacheBackend
from ragas.llms import llm_factory
from ragas.metrics.collections import ContextRecall

asked = []


class Judges(BaseHTTPRequestHandler):
    def do_POST(self):
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        asked.append(model)
        verdict = {"statement": "It is blue.", "reason": "", "attributed": int(model == "lenient")}
        message = {"role": "assistant", "content": json.dumps({"classifications": [verdict]})}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Judges)
threading.Thread(target=server.serve_forever, daemon=True).start()


async def score(model, cache):
    async with AsyncOpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none") as client:
        metric = ContextRecall(llm=llm_factory(model, client=client, cache=cache))
        question, context, reference = "What colour is the sky?", ["The sky is blue."], "It is blue."
        return (await metric.ascore(user_input=question, retrieved_contexts=context, reference=reference)).value


seen = []
for cache in (None, DiskCacheBackend(sys.argv[1])):
    for model in ("lenient", "strict"):
        asked.clear()
        seen.append((asyncio.run(score(model, cache)), list(asked)))
        print(f"{'with' if cache else 'without'} the cache, judge {model}: recall {seen[-1][0]}, asked: {asked}")
wanted = [(1.0, ["lenient"]), (0.0, ["strict"]), (1.0, ["lenient"]), (1.0, [])]
assert seen == wanted, "no longer so"
PYTHON
