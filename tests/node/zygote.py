"""Starts node processes quickly: imports everything once, then forks. Run by `processes.py`.

Reads messages from the socket whose number is its argument. `{"run": [...]}` comes with a file
descriptor, which becomes the child's standard output and error; the answer is its process id. With
`"file_bytes_max"`, the child can write no file longer than that.
`{"wait": pid}` is answered with the exit status, as `subprocess` counts it.
"""

import json
import os
import resource
import signal
import socket
import sys
import traceback

from node import cli, gateway
from node.state import journal
from node.status import view

PRELOADED = (cli, gateway, journal, view)


def become(arguments: list[str], output: int, file_bytes_max: int) -> None:
    """The rest of the child's life."""
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        # The old streams remember whether the files that they were opened on can be sought.
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False, errors="backslashreplace")
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, resource.RLIM_INFINITY))
        sys.argv = ["hedgerow", *arguments]
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001 - as at the top of any program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(control: socket.socket) -> None:
    children: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 65_536, 1)
        if not message:
            break
        request = json.loads(message)
        if "run" in request:
            pid = os.fork()
            if not pid:
                control.close()
                limit = request.get("file_bytes_max", resource.RLIM_INFINITY)
                become(request["run"], descriptors[0], limit)
            os.close(descriptors[0])
            children.add(pid)
            control.sendall(json.dumps(pid).encode())
        else:
            _, found = os.waitpid(request["wait"], 0)
            children.discard(request["wait"])
            control.sendall(json.dumps(os.waitstatus_to_exitcode(found)).encode())
    for pid in children:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
