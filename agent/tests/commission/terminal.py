"""Runs a program on a pseudo-terminal and types one answer to each question (a text that ends in ": " or "] ").

terminal.py ANSWER|ANSWER|… PROGRAM ARGUMENT…   prints what the terminal showed; exits as the program did.
"""

import os
import pty
import sys

answers = [answer + "\n" for answer in sys.argv[1].split("|")]
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    shown += more
    if answers and shown.endswith((b": ", b"] ")):
        os.write(terminal, answers.pop(0).encode())
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
