"""A mail server for tests: takes mails by SMTP and prints each as a line of JSON, as Python's own mail parser reads it.

First it prints {"port": ..., "ca": FILE}. With a name and a password, only who logs in may send, and only encrypted.
"""

import asyncio
import base64
import json
import ssl
import sys
from email import policy
from email.parser import BytesParser
from pathlib import Path

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def part(message):
    content = message.get_payload(decode=True)
    is_text = message.get_content_maintype() == "text"
    return {
        "type": message.get_content_type(),
        "content_id": message["content-id"],
        "disposition": message.get_content_disposition(),
        "content": message.get_content() if is_text else base64.b64encode(content).decode(),
    }


class Printer:
    async def handle_DATA(self, server, session, envelope):
        message = BytesParser(policy=policy.default).parsebytes(envelope.content)
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "defects": [str(defect) for defect in message.defects],
            "parts": [part(one) for one in message.walk() if not one.is_multipart()],
            "structure": [one.get_content_type() for one in message.walk()],
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "connection": session.peer[1],
        }
        print(json.dumps(told), flush=True)
        return "250 taken"


def main():
    encryption, folder = sys.argv[1], Path(sys.argv[2])
    login = sys.argv[3:5]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def authenticate(server, session, envelope, mechanism, data):
        is_right = isinstance(data, LoginPassword) and [data.login.decode(), data.password.decode()] == login
        return AuthResult(success=is_right, handled=False, auth_data=data)

    options = {"authenticator": authenticate, "auth_required": True} if login else {}
    if encryption == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    elif encryption == "tls":
        options |= {"auth_require_tls": False}

    async def serve():
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(Printer(), hostname="localhost", **options),
            host="127.0.0.1",
            port=0,
            ssl=context if encryption == "tls" else None,
        )
        port = server.sockets[0].getsockname()[1]
        print(json.dumps({"port": port, "ca": str(folder / "ca.pem")}), flush=True)
        await server.serve_forever()

    asyncio.run(serve())


main()
