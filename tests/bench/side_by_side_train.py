"""A step of pre-training, ours and the PyTorch peer's in turns on one machine: medians and ratio.

    side_by_side_train.py [--ours 'COMMAND'] [--peer 'ARGUMENTS'] [--rounds 5]

The full-size model, 2 clips and their 2 partners, 4 frames, all three objectives, layers checkpointed, AdamW's
update included. Each program makes one step to warm up and then sleeps while the other runs (bench_train --serve,
tests/reference/peer_train.py --serve). One JSON line on stdout, rounds on stderr.
"""

import argparse
import json
import pathlib
import shlex
import statistics
import sys

from side_by_side import Server

PEER = pathlib.Path(__file__).resolve().parent.parent / "reference" / "peer_train.py"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", default="build/tests/bench/bench_train --serve --threads 2")
    parser.add_argument("--peer", default="--threads 2")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    mine = Server(shlex.split(options.ours))
    peer = Server([sys.executable, str(PEER), "--serve", *shlex.split(options.peer)])
    ours, theirs = [], []
    for turn in range(options.rounds):
        a, b = mine.ask("run"), peer.ask("run 1")
        ours.append(a["seconds_per_step"])
        theirs.append(b["seconds_per_step"])
        print(f"round {turn + 1}: ours {ours[-1]:.1f} s, torch {theirs[-1]:.1f} s a step", file=sys.stderr, flush=True)
    peer.close()
    mine.close()
    print(json.dumps({
        "rounds": options.rounds, "ours_seconds": statistics.median(ours), "torch_seconds": statistics.median(theirs),
        "ours_range": [min(ours), max(ours)], "torch_range": [min(theirs), max(theirs)],
        "speed_of_ours_over_torch": round(statistics.median(t / o for o, t in zip(ours, theirs)), 3),
        "ours_peak_rss_gib": a["peak_rss_gib"], "torch_peak_rss_gib": b["peak_rss_gib"],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
