"""Is an alert ever lost, doubled or out of order? A sender is killed again and again, its receivers misbehave.

    python benchmarks/outbox.py [--kills 200] [--incidents 200] [--seed 1]

A process lives through incidents, queues what is to be told in SQLite and sends it to a Slack webhook and a signed
webhook, which answer 429, 500, 503, 302, 404, hang, drip, break the connection, or take the message and lose the
answer, two times in five. It is killed with SIGKILL at random moments. Exits with 1 where an alert is missing, came
again under another key or with other words, or came after what followed it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import machine, table
from tests.alerts.kills import kill_and_check


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--incidents", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_and_check(Path(folder), kills=given.kills, incidents=given.incidents, seed=given.seed)
    print(machine())
    print(f"{outcome.kills} of {given.kills} kills met a sender at work; {outcome.seconds:.0f} s in all")
    print(f"{outcome.taken_amid} requests were taken before the last kill\n")
    rows = [
        [name, str(arrived.received), str(len(arrived.keys)), str(len(set(arrived.keys))), str(arrived.duplicates)]
        for name, arrived in outcome.channels.items()
    ]
    print(table(["channel", "requests read", "taken", "messages", "taken again, same key"], rows))
    print("\n".join(outcome.faults) or f"\nAll {6 * outcome.incidents} messages arrived, in order.")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
