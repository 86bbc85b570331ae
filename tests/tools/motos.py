"""Gives each of many tests a moto of its own: `motos.py NAME REGION SERVICE...`.

To import moto and to read its models takes two seconds of a processor. Here that is done once, and each moto is a copy of the process
that has done it. Whoever connects to the socket of that abstract name writes a line: the file for the log, and whether buckets are to be
emptied. The answer is a line with the moto's address. The moto ends with the connection, and this process with its stdin.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import threading

from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client

# One question for each service, so that all is read which an answer takes.
QUESTIONS = {
    "autoscaling": {"data": {"Action": "DescribeAutoScalingGroups", "Version": "2011-01-01"}},
    "ec2": {"data": {"Action": "DescribeAvailabilityZones", "Version": "2016-11-15"}},
    "iam": {"data": {"Action": "ListRoles", "Version": "2010-05-08"}},
    "kms": {"target": "TrentService.ListKeys"},
    "logs": {"target": "Logs_20140328.DescribeLogGroups"},
    "s3": {},
    "sts": {"data": {"Action": "GetCallerIdentity", "Version": "2011-06-15"}},
}


def ask(application, service, region, question):
    """Asks the moto of this process itself."""
    scope = f"Credential=nobody/20260101/{region}/{service}/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}
    arguments = {"headers": headers, "base_url": "http://127.0.0.1"}
    if "target" in question:
        headers["X-Amz-Target"] = question["target"]
        arguments |= {"data": "{}", "content_type": "application/x-amz-json-1.1"}
    elif "data" in question:
        arguments["data"] = question["data"]
    method = "POST" if "data" in arguments else "GET"
    answer = Client(application).open("/", method=method, **arguments)
    if answer.status_code != 200:
        sys.exit(f"{service} answers {answer.status}: {answer.get_data(as_text=True)}")


def serve(application, connection):
    """Is one moto, until the connection ends."""
    wanted = json.loads(connection.makefile().readline())
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if wanted["buckets"]:
        # Of an object that was deleted, moto 5.2.5 does not let the last trace be deleted.
        from moto.s3 import models
        if not hasattr(models.FakeDeleteMarker, "dispose"):
            models.FakeDeleteMarker.dispose = lambda self: None
    mock_random.seed()  # no two have the same ids
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    os.environ["MOTO_PORT"] = str(server.port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection.sendall(f"http://127.0.0.1:{server.port}\n".encode())
    connection.recv(1)
    os._exit(0)


def main(name, region, *services):
    application = DomainDispatcherApplication(create_backend_app)
    for service in services:
        ask(application, service, region, QUESTIONS[service])
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0{name}")
    listener.listen(64)
    print("ready", flush=True)
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            serve(application, connection)
        connection.close()


main(*sys.argv[1:])
