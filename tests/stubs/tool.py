"""A tool that misbehaves on demand: `tool.py WORD...`, each word one thing to do, in order.

deaf            ignore SIGTERM from here on
fork            leave a child behind that sleeps, in this session
daemon          leave a grandchild behind that sleeps, in a session of its own, with all descriptors closed
flood:BYTES     print that many bytes without a newline
say:TEXT        print a line
lines:COUNT     print that many lines, each with its number
garbage         print bytes that are no UTF-8
silent          close stdout and stderr
sleep:SECONDS   sleep
write:NAME      write a file
exit:CODE       end
die:SIGNAL      end by a signal
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def flood(count: str) -> None:
    block = b"x" * 65536
    left = int(count)
    while left > 0:
        left -= os.write(1, block[:left])


def fork(_: str) -> None:
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
        os._exit(0)


def daemon(_: str) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.closerange(0, 256)
            time.sleep(600)
        os._exit(0)


def silent(_: str) -> None:
    os.close(1)
    os.close(2)


WORDS = {
    "deaf": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "fork": fork,
    "daemon": daemon,
    "flood": flood,
    "garbage": lambda _: os.write(1, b"\xff\xfe\x80 bad\n" * 10),
    "say": lambda text: print(text, flush=True),
    "lines": lambda count: print("\n".join(f"line {number}" for number in range(1, int(count) + 1)), flush=True),
    "silent": silent,
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "write": lambda name: Path(name).write_text("written"),
    "exit": lambda code: os._exit(int(code)),
    "die": lambda number: os.kill(os.getpid(), int(number)),
}

if __name__ == "__main__":
    for word in sys.argv[1:]:
        name, _, value = word.partition(":")
        WORDS[name](value)
