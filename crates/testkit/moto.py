"""Starts moto (https://docs.getmoto.org) on a free port. It handles one request at a time: it checks a condition and then
writes, and other requests must not come in between, as they do not in S3."""

import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

moto = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def application(environment, start):
    with one_at_a_time:
        return list(moto(environment, start))


run_simple("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
