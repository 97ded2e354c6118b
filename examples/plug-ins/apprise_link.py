#!/usr/bin/env python3
"""A Hearback plug-in that reaches the services of the Apprise library: a push, a mail, a chat with a link to the answer.

    pip install apprise
    HEARBACK_PLUGIN_SECRET=whsec_... python3 apprise_link.py [port]     listens on 127.0.0.1, port 9001

A person's address is a name in the file APPRISE_TARGETS (targets.json), so that no service's password is in the hub:

    {"ana": ["ntfy://ana-phone", "mailtos://user:password@example.com"]}

The check sends to somebody who is in it:  hearback check-plugin http://127.0.0.1:9001/ --to ana
"""
import base64, hashlib, hmac, http.server, json, os, sys, time

try:
    import apprise
except ImportError:
    sys.exit("The Apprise library is not installed. Install it with:  pip install apprise")

CAPABILITIES = {"text_max": 1000}


def believed(headers, body):
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id or not timestamp.isdecimal() or len(timestamp) > 12 or abs(time.time() - int(timestamp)) > 300:
        return False
    key = base64.b64decode(os.environ["HEARBACK_PLUGIN_SECRET"].removeprefix("whsec_"))
    right = base64.b64encode(hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256))
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(b"v1," + right, one.encode()) for one in given)


def take(body):
    try:
        message = json.loads(body)
        kind = message["type"]
    except (ValueError, TypeError, KeyError):
        return 400, {"error": "malformed", "detail": "expected a JSON object with type"}
    if kind == "probe":
        return 200, {"capabilities": CAPABILITIES}
    if kind == "request":
        title, text = message["person"]["username"] + ", a question", message["request"]["prompt"]
    elif kind == "code":
        title, text = "Your code", message["code"]
    elif kind in ("message", "notice"):
        title, text = "Hearback", message["text"]
    else:
        # What was pushed cannot be taken back: the hub sends a notice instead.
        return 501, {"error": "unsupported", "detail": f"{kind} is not known here"}
    if len(text) > CAPABILITIES["text_max"]:
        return 413, {"error": "too_long", "detail": f"at most {CAPABILITIES['text_max']} characters"}
    if message["answer_url"]:
        text += "\n\n" + message["answer_url"]
    return push(message["to"], title, text, message["delivery"])


def push(to, title, text, delivery):
    try:
        with open(os.environ.get("APPRISE_TARGETS", "targets.json"), encoding="utf-8") as file:
            urls = json.load(file).get(to)
    except (OSError, ValueError, AttributeError):
        return 503, {"error": "unavailable", "detail": "the file of targets cannot be read"}
    if urls is None:
        return 404, {"error": "not_found", "detail": f"no `{to}` in the file of targets"}
    service = apprise.Apprise()
    if not all(service.add(url) for url in urls):
        return 422, {"error": "rejected", "detail": f"a target of `{to}` is no URL that Apprise knows"}
    if not service.notify(title=title, body=text):
        return 503, {"error": "unavailable", "detail": "Apprise could not deliver it"}
    return 200, {"receipt": delivery}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        # Nobody is believed yet: what has no length of at most 1 MiB is not read, and so has no right signature.
        length = self.headers.get("Content-Length", "")
        body = self.rfile.read(int(length)) if length.isdecimal() and len(length) < 8 and int(length) <= 1 << 20 else b""
        status, answer = take(body) if believed(self.headers, body) else (401, {"error": "bad_signature"})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int((sys.argv + [9001])[1])), Handler).serve_forever()
