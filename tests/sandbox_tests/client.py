# SPDX-License-Identifier: Apache-2.0
"""A plain HTTPS client of the sandbox's service, and the paths that the tests ask for."""
import http.client
import json
import ssl
from typing import Any, Dict, NamedTuple, Optional

from tests.sandbox import licences
from tests.sandbox.service import Service

REGISTER = "/cln/api/els/token/register"
CHECK = "/cln/api/els/token/check"
AWS = "/cln/api/els/token/aws"
UNREGISTER = "/cln/api/els/token/unregister"
# The folder of a tree; its file `name` holds the tree's name, 30 bytes.
BASEOS = "/almalinux/9/BaseOS/x86_64/os/"


class Reply(NamedTuple):
    status: int
    headers: Dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body.decode())


def context(service: Service) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(service.ca_file))


def connect(service: Service) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("localhost", service.port, context=context(service), timeout=5)


def ask(
    service: Service,
    path: str,
    method: str = "GET",
    headers: Optional[Dict[str, str]] = None,
    body: Optional[bytes] = None,
) -> Reply:
    connection = connect(service)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def post(service: Service, path: str, **fields: object) -> Reply:
    return ask(service, path, "POST", {"Content-Type": "application/json"}, json.dumps(fields).encode())


def token_of(service: Service, key: str = licences.ESU_KEY, host_name: str = "one.example.com") -> str:
    return str(post(service, REGISTER, key=key, host_name=host_name).json()["token"])
