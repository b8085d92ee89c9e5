# SPDX-License-Identifier: MIT
"""What one sample of a process with 30 threads costs: `procsample --light` at 1000 Hz beside psutil and the bare reads.

procsample_light_us       reading, parsing, summing up, both rows and the write of them, without the wait for the next sample; as
                          at 1000 Hz, where status and io are read in every tenth sample, and n/a in the others
procsample_vs_psutil      that against psutil's oneshot() on the fields that every row has; psutil only reads
procsample_vs_bare_reads  that against a loop that reads the same files and writes as much, but looks at nothing

What waking costs is the machine's: on a virtual one, after an idle millisecond, it is more than all reading. Without a bar:

bare_reads_us                   that loop: what of procsample_light_us is the machine's, on some of which it alone is above the bar
procsample_light_us_at_1000_hz  the whole program at 1000 Hz, waking included; what its peers cost so goes to stderr
waking_us_at_1000_hz            waking alone

The cost of one sample is
(cpu(N2) - cpu(N1)) / (N2 - N1): starting up, which takes Python longest, is in neither.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import BIN, ROOT, ROUNDS, at_full_speed, build, cost_of_being_sampled, on_one_cpu, paired, row, told, turn_us

RATE = 1000

TARGET = """
import os, sys, threading
memory = bytearray(os.urandom(1 << 20) * 50)
files = [open(os.devnull) for _ in range(22)]
wait = threading.Event()
for _ in range(29):
    threading.Thread(target=wait.wait, daemon=True).start()
print(flush=True)
sys.stdin.read()
"""

PSUTIL = """
import sys, time, psutil
pid, samples, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
process, start = psutil.Process(pid), time.monotonic()
for k in range(samples):
    pause = start + k / rate - time.monotonic() if rate else 0
    if pause > 0:
        time.sleep(pause)
    with process.oneshot():
        process.cpu_times(), process.memory_info(), process.num_threads(), process.num_fds()
"""

def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-c", TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as target,
    ):
        assert target.stdin and target.stdout
        target.stdout.readline()
        pid, out, floor, reading = str(target.pid), f"{folder}/out", f"{folder}/floor", f"{folder}/reading"
        parts = [ROOT / "helpers" / "procsample" / name for name in ("rows.c", "total.c")]
        build(Path(floor), "floor.c")
        build(Path(reading), "procsample_reading.c", *parts, BIN.parent / "libhelpers.a", "-lm")

        light: list[str | Path] = [BIN / "procsample", "--light", "--rate", str(RATE), "--output", out, "--count", "N", pid]
        psutil = [sys.executable, "-c", PSUTIL, pid, "N"]
        ratio, _, peer = paired(lambda: turn_us([reading, pid, "N", out]), lambda: turn_us([*psutil, "0"]))
        bare = [floor, pid, "N", "0", out]
        to_floor, _, _ = paired(lambda: turn_us([reading, pid, "N", out]), lambda: turn_us(bare))
        with on_one_cpu():
            both = at_full_speed(lambda: (turn_us([reading, pid, "N", out]), turn_us(bare)))
        ours, least = (statistics.median(costs) for costs in zip(*both, strict=True))
        paced = statistics.median(turn_us(light) for _ in range(ROUNDS))
        paced_floor = statistics.median(turn_us([floor, pid, "N", str(RATE), out]) for _ in range(ROUNDS))
        paced_peer = statistics.median(turn_us([*psutil, str(RATE)]) for _ in range(ROUNDS))
        waking = statistics.median(turn_us([floor, "0", "N", str(RATE), out]) for _ in range(ROUNDS))
        print(
            f"a sample: procsample {ours:.1f} us, psutil {peer:.1f} us, bare reads and write {least:.1f} us\n"
            f"at {RATE} Hz, with waking: procsample {paced:.1f} us, psutil {paced_peer:.1f} us, bare reads {paced_floor:.1f} us, "
            f"waking alone {waking:.1f} us",
            file=sys.stderr,
        )
        row("procsample_light_us", ours, "us", "<= 7")
        told("bare_reads_us", least, "us")
        told(f"procsample_light_us_at_{RATE}_hz", paced, "us")
        told(f"waking_us_at_{RATE}_hz", waking, "us")
        row("procsample_vs_psutil", ratio, "ratio", "<= 0.15")
        row("procsample_vs_bare_reads", to_floor, "ratio", "<= 1.25")
        target.stdin.close()
    # As it runs beside every profile, and ten times as often.
    cost = cost_of_being_sampled(sys.executable, lambda pid: [BIN / "procsample", "--light", "--rate", "100", "--output", os.devnull, str(pid)])
    row("procsample_target_slowdown", 1 / cost, "ratio", ">= 0.98")


if __name__ == "__main__":
    main()
