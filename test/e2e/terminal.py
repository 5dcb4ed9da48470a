"""A terminal of 100 by 40 characters for one command, whose keys and screen are this program's own streams.

SIGUSR1 makes it 132 by 50. The first line on standard error is the command's process id; the last one its exit
status and whether the terminal was left as it was found.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios


def resize(columns, rows):
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def start():
    child = os.fork()
    if child > 0:
        return child
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.execvp(sys.argv[1], sys.argv[1:])


def copy(source, target):
    data = os.read(source, 65536)
    if data:
        os.write(target, data)
    return bool(data)


master, slave = pty.openpty()
resize(100, 40)
before = termios.tcgetattr(slave)
child = start()
signal.signal(signal.SIGUSR1, lambda *_: resize(132, 50))
print(child, file=sys.stderr, flush=True)

sources = [master, 0]
ended = 0
while ended == 0 or select.select([master], [], [], 0)[0]:
    readable = select.select(sources, [], [], 0.05)[0]
    if master in readable:
        copy(master, 1)
    if 0 in readable and not copy(0, master):
        sources.remove(0)
    if ended == 0:
        ended, status = os.waitpid(child, os.WNOHANG)

restored = termios.tcgetattr(slave) == before
print(os.waitstatus_to_exitcode(status), "restored" if restored else "changed", file=sys.stderr)
