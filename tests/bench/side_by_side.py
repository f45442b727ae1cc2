"""Ours and the PyTorch peer in turns (A B A B) on one machine: medians, ratio, fraction of the sgemm rate.

    side_by_side.py [--ours 'COMMAND'] [--method compile] [--batch 1,4] [--clips 4] [--rounds 5]

COMMAND may hold {what}, {batch}, {clips} and {threads}; it prepares once and then answers every line
with one that has `seconds_per_clip`. So does the peer (peer_torch.py): each sleeps while the other runs. Both compute
the full-size video tower (--what both: the text tower, too), 4 frames, float32, with the same shortcut in the
last block unless --whole-last-block takes it from the peer. Every round also measures what torch.mm reaches, so
that a figure of a busy minute can be told from a slow program. One JSON line a batch on stdout, rounds on stderr.
"""

import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
OURS = (
    "build/tests/bench/bench_model --serve --what {what} --frames 4 --clips {clips}"
    " --batch {batch} --threads {threads} --repeat 1"
)


def text_gflop(tokens=12, dim=768, depth=12, mlp=4, proj=4096):
    """The same of one narration; only the first token's state leaves the last layer."""
    layer = tokens * (4 + 2 * mlp) * dim * dim + 2 * dim * tokens * tokens
    last = (2 * tokens + 2 + 2 * mlp) * dim * dim + 2 * dim * tokens
    return 2e-9 * ((depth - 1) * layer + last + dim * proj + 2 * proj * proj)


def clip_gflop(frames=4, dim=768, depth=12, side=14, patch=16, mlp=4, proj=4096):
    """2e-9 * multiply-adds of one clip's embedding, the last block for the class token only."""
    patches = frames * side * side
    tokens = 1 + patches
    linear = tokens * dim * dim
    keys = patches * (1 + side * side) + tokens  # space: every patch its frame and the class token
    times = patches * (1 + frames) + tokens
    block = (8 + 2 * mlp) * linear + 2 * dim * (keys + times)
    last = (4 + 2) * linear + (2 + 2 * mlp) * dim * dim + 2 * dim * (tokens + times)
    ends = patches * 3 * patch * patch * dim + dim * proj + 2 * proj * proj
    return 2e-9 * ((depth - 1) * block + last + ends)


class Server:
    """A process that prepares once, says so in a line, and answers a line with a line."""

    def __init__(self, command):
        self.name = command[0]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hello = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, command):
        print(command, file=self.process.stdin, flush=True)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start_peer(method, batch, options):
    command = [sys.executable, str(HERE / "peer_torch.py"), "--serve", "--method", method]
    command += ["--batch", str(batch), "--threads", str(options.threads), "--what", options.what]
    return Server(command + ["--whole-last-block"] * options.whole)


def measure(options, method, batch):
    command, clips = options.ours, max(options.clips, batch)
    for name, value in (vars(options) | {"batch": batch, "clips": clips}).items():
        command = command.replace("{" + name + "}", str(value))
    peer, mine = start_peer(method, batch, options), Server(shlex.split(command))
    peer.ask(f"run {batch}")
    mine.ask("run")
    ours, theirs, rates = [], [], []
    for turn in range(options.rounds):
        ours.append(mine.ask("run")["seconds_per_clip"])
        theirs.append(peer.ask(f"run {clips}")["seconds_per_clip"])
        gflops = peer.ask("sgemm")["gflops"]
        rates.append(statistics.median(gflops.values()))
        print(f"{method} batch {batch} round {turn + 1}: ours {ours[-1]:.4f} s, "
              f"torch {theirs[-1]:.4f} s a clip, sgemm {rates[-1]:.0f} GFLOP/s "
              f"({min(gflops.values()):.0f} to {max(gflops.values()):.0f})",
              file=sys.stderr, flush=True)  # fmt: skip
    peer.close()
    mine.close()
    a, b, rate = map(statistics.median, (ours, theirs, rates))
    work = clip_gflop() * (options.what != "text") + text_gflop() * (options.what != "video")
    print(json.dumps({
        "what": options.what, "batch": batch, "method": method, "rounds": options.rounds,
        "torch_whole_last_block": options.whole,
        "ours_seconds_per_clip": round(a, 4), "torch_seconds_per_clip": round(b, 4),
        "ours_range": [round(min(ours), 4), round(max(ours), 4)],
        "torch_range": [round(min(theirs), 4), round(max(theirs), 4)],
        "speed_of_ours_over_torch": round(statistics.median(t / o for o, t in zip(ours, theirs)), 3),
        "gflop_per_clip": round(work, 2), "sgemm_gflops": round(rate, 1),
        "ours_fraction_of_sgemm": round(work / a / rate, 3),
        "torch_fraction_of_sgemm": round(work / b / rate, 3),
    }), flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", default=OURS)
    parser.add_argument("--method", default="compile", help="of peer_torch.py; several with commas")
    parser.add_argument("--batch", default="1,4")
    parser.add_argument("--what", choices=("video", "text", "both"), default="video")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--whole-last-block", dest="whole", action="store_true",
                        help="without the peer's shortcut: the last block for all tokens")  # fmt: skip
    options = parser.parse_args()
    for method in options.method.split(","):
        for batch in map(int, options.batch.split(",")):
            measure(options, method, batch)


if __name__ == "__main__":
    main()
