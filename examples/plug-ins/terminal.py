#!/usr/bin/env python3
"""A Hearback plug-in that asks at this terminal. Standard library only; docs/plug-ins.md tells the protocol.

    HEARBACK_PLUGIN_SECRET=whsec_... python3 terminal.py [port]     listens on 127.0.0.1, port 9000
"""
import base64, hashlib, hmac, http.server, json, os, sys, threading, time, urllib.error, urllib.request, uuid

CAPABILITIES = {"edit": True, "inbound": True, "text_max": 2000}
settled, terminal = set(), threading.Lock()


def sign(id, timestamp, body):
    key = base64.b64decode(os.environ["HEARBACK_PLUGIN_SECRET"].removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)).decode()


def believed(headers, body):
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id or not timestamp.isdecimal() or len(timestamp) > 12 or abs(time.time() - int(timestamp)) > 300:
        return False
    right, given = sign(id, timestamp, body).encode(), headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(right, one.encode()) for one in given)


def tell(url, event):
    """Calls the hub back: the same webhook-id until it has answered."""
    body, id = json.dumps(event).encode(), f"evt_{uuid.uuid4()}"
    for pause in (1, 2, 4, 8, 16, 32):
        now = str(int(time.time()))
        headers = {"webhook-id": id, "webhook-timestamp": now, "webhook-signature": sign(id, now, body)}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=15) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                return {"verdict": "not taken", "reason": error.read().decode()}
        except OSError as error:
            print("The hub cannot be reached:", error, flush=True)
        time.sleep(pause)
    return {"verdict": "lost", "reason": "the hub does not answer"}


def ask(message):
    """One question at a time. The hub reads the words, and says which ones it wants where it is not sure."""
    request, said = message["request"], {"verdict": "invalid"}
    hints = {"approval": "yes or no", "choice": [o["value"] for o in request.get("options", [])], "form": "a JSON object"}
    with terminal:
        while said["verdict"] == "invalid" and message["delivery"] not in settled:
            print(f"\n{request['prompt']}  ({hints.get(request['kind'], 'a text')})", flush=True)
            line = sys.stdin.readline()
            if not line or message["delivery"] in settled:
                return
            try:
                event = {"type": "response", "value": json.loads(line)} if request["kind"] == "form" else \
                        {"type": "text", "text": line.strip()}
            except ValueError as error:
                print("That is no JSON:", error)
                continue
            said = tell(message["callback_url"], {"request_id": request["id"], "from": message["to"], **event})
            print(said["verdict"], said["reason"] or "", flush=True)


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


def take(body):
    try:
        kind = (message := json.loads(body))["type"]
    except (ValueError, TypeError, KeyError):
        return 400, {"error": "malformed", "detail": "expected a JSON object with type"}
    if kind == "probe":
        return 200, {"capabilities": CAPABILITIES}
    if kind == "settle":
        settled.add(message["delivery"])
        print("\n" + message["text"], "(press Enter)" if terminal.locked() else "", flush=True)
        return 200, {}
    if kind not in ("request", "message", "notice", "code"):
        return 501, {"error": "unsupported", "detail": f"{kind} is not known here"}
    text = message["request"]["prompt"] if kind == "request" else message.get("text") or "Code: " + message["code"]
    if len(text) > CAPABILITIES["text_max"]:
        return 413, {"error": "too_long", "detail": f"at most {CAPABILITIES['text_max']} characters"}
    if kind == "request":
        threading.Thread(target=ask, args=(message,), daemon=True).start()
    else:
        print("\n" + text, flush=True)
    return 200, {"receipt": message["delivery"]}


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int((sys.argv + [9000])[1])), Handler).serve_forever()
