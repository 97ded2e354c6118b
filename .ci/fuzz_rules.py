"""What .ci/fuzz teaches Schemathesis about the hub: who calls, how to get past the first check of a body, and what is
no finding, each with its reason."""

import atexit
import base64
import collections
import hmac
import json
import os
import re
import time
import urllib.parse
import urllib.request
import zlib

import schemathesis
from schemathesis.openapi.checks import JsonSchemaError, RejectedPositiveData
from schemathesis.transport.serialization import Binary

TOKEN = os.environ["FUZZ_TOKEN"]
PASSWORD = os.environ["FUZZ_PASSWORD"]
REQUESTS = os.environ["FUZZ_REQUESTS"].split()
IDS = json.loads(os.environ["FUZZ_IDS"])

# --- Who calls

SIGN_OUT = {"logout", "close_session"}


def operation_id(case):
    return case.operation.definition.raw.get("operationId", "")


def of_administrator(context, operations):
    return os.environ["FUZZ_AS"] == "administrator" and context.operation.definition.raw["operationId"] in operations


def signs_out(context):
    return of_administrator(context, SIGN_OUT)


def changes_password(context):
    return of_administrator(context, {"change_password"})


def not_as_usual(context):
    return signs_out(context) or changes_password(context)


if TOKEN:

    @schemathesis.auth().skip_for(not_as_usual)
    class Caller:
        """The token that this run was given."""

        def get(self, case, context):
            return TOKEN

        def set(self, case, token, context):
            case.headers["Authorization"] = f"Bearer {token}"

    @schemathesis.auth(refresh_interval=None).apply_to(signs_out)
    class Leaver(Caller):
        """A sign-in of its own for each call that ends it."""

        def get(self, case, context):
            form = urllib.parse.urlencode({"username": "ana", "password": PASSWORD}).encode()
            url = context.operation.schema.get_base_url().rstrip("/") + "/api/auth/login"
            with urllib.request.urlopen(urllib.request.Request(url, form), timeout=10) as answer:
                return json.load(answer)["access_token"]

    @schemathesis.auth().apply_to(changes_password)
    class Changer(Caller):
        """Somebody who is needed for nothing else: whoever changes their password ends their other sign-ins."""

        present = PASSWORD

        def get(self, case, context):
            return os.environ["FUZZ_CHANGER"]


@schemathesis.hook
def after_call(context, case, response):
    if operation_id(case) == "change_password" and response.status_code == 204:
        Changer.present = case.body["new_password"]


# --- How to get past the first check

ONLY_FOR = {
    "choice": {"options", "multiple"},
    "input": {"min_length", "max_length", "pattern"},
    "form": {"schema"},
}
PLUG_IN_EVENTS = {
    # Which field of an event takes what chance says.
    "value": {"type": "response", "request_id": REQUESTS[1], "from": "ana"},
    "text": {"type": "text", "request_id": REQUESTS[2], "from": "ana"},
    "address": {"type": "connected"},
    "from": {"type": "read", "receipt": "message-17"},
    "receipt": {"type": "receipt", "delivery": REQUESTS[0]},
    "": {},
}
NEW_PASSWORDS = {"register": "password", "change_user": "password", "change_password": "new_password"}
NEEDED = {"choice": ("options", [{"value": "blue"}, {"value": "green"}]), "form": ("schema", {"type": "object"})}


def chance(seen, of):
    """A number below `of`, always the same for the same value, so that a run can be had again."""
    return zlib.crc32(repr(seen).encode()) % of


def fit(draft):
    """A question that hangs together: a random one asks nobody that there is, and mixes the fields of all kinds."""
    luck = chance(draft, 8)
    for kind, fields in ONLY_FOR.items():
        for field in fields if draft["kind"] != kind else ():
            draft.pop(field, None)
    field, value = NEEDED.get(draft["kind"], (None, None))
    if field and not draft.get(field):
        draft[field] = value
    if draft.get("callback_url"):
        # The hub is not to call what chance names.
        draft["callback_url"] = "http://127.0.0.1:9/"
    if luck:
        draft["to"] = ["ana", "ben"]
        for field in ("channels", "on_expiry", *([] if os.environ["FUZZ_AS"] == "agent" else ["callback_url"])):
            draft.pop(field, None)


def plug_in(case):
    """A call as a plug-in makes it, rightly signed, with what chance has put into its body."""
    case.path_parameters = {"name": "plug", "tail": "events"}
    text = case.body.data if isinstance(case.body, Binary) else str(case.body).encode()
    field, event = list(PLUG_IN_EVENTS.items())[chance(text, len(PLUG_IN_EVENTS))]
    if field:
        case.body = json.dumps(event | {field: text.decode(errors="replace")})
        text = case.body.encode()
    said = {"webhook-id": f"fuzz-{chance(text, 2**32)}", "webhook-timestamp": str(int(time.time()))}
    signed = f"{said['webhook-id']}.{said['webhook-timestamp']}.".encode() + text
    key = base64.b64decode(os.environ["FUZZ_SECRET"].removeprefix("whsec_"))
    said["webhook-signature"] = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    case.headers.update(said)


def told():
    """What the plug-in was told."""
    with urllib.request.urlopen(os.environ["FUZZ_PLUG_IN"], timeout=10) as answer:
        return json.load(answer)


def addresses(case):
    """The caller's own addresses, without the one over which questions come."""
    url = case.operation.schema.get_base_url().rstrip("/") + "/api/me/addresses"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [address for address in json.load(answer)["items"] if address["channel"] != "plug"]


def own_address(case, body):
    """One of the caller's addresses in the path; where it waits for its code, that in the body."""
    if not (found := addresses(case)):
        return
    waiting = [address for address in found if not address["confirmed"]]
    address = (waiting if body and waiting else found)[-1]
    case.path_parameters["id"] = address["id"]
    if body and chance(body, 4) and address["address"] in (codes := told()["codes"]):
        body["code"] = codes[address["address"]]


def spare(case, path):
    """Takes those out of the path on whom the run depends, in every call, since ids come from answers as well: an
    administrator who is demoted, or people who are deactivated, would end it. One account is there to be changed."""
    match operation_id(case):
        case "change_user" if path.get("id") in IDS.values():
            path["id"] = IDS["kit"]
        case "remove_address" if path.get("id") in (IDS["ana"], IDS["ben"]):
            path["id"] = IDS["kit"]


def like(body):
    """Preferences whose names mean something: few of those of chance do."""
    for field, value in {"channels": ["plug"], "locale": "pt-BR", "timezone": "Europe/Berlin"}.items():
        if body.get(field) and chance((field, body), 4):
            body[field] = value


@schemathesis.hook
def before_call(context, case, kwargs):
    query, path = case.query or {}, case.path_parameters or {}
    spare(case, path)
    # A parked call takes from the time and shows no more after a minute than after a second.
    if re.fullmatch("[1-5]?[0-9]|60", str(query.get("wait", ""))) and int(query["wait"]) > 1:
        query["wait"] = 0
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.path.startswith("/api/feedback/{id}") and chance(path["id"], 2):
        path["id"] = REQUESTS[chance(path["id"], len(REQUESTS))]
    body = case.body if isinstance(case.body, dict) else None
    if case.headers.get("Idempotency-Key") and chance(body, 4):
        # Of chance's short keys, most were used with another body before.
        case.headers["Idempotency-Key"] = f"fuzz-{chance(body, 2**32)}"
    password = NEW_PASSWORDS.get(operation_id(case))
    if body and len(body.get(password) or "x" * 256) < 240 and chance((password, body), 2):
        # Those of chance have no number, or are the first that anybody guesses.
        body[password] += " and 7 lamps"
    administrator = os.environ["FUZZ_AS"] == "administrator"
    match operation_id(case):
        case "create_feedback" if body:
            fit(body)
        case "show_answer_page" | "answer_by_link" if (links := told()["links"]) and chance(path, 4):
            # The newest is the likeliest to be open still.
            link, kind = links[chance(path, len(links)) if chance((path, body), 2) else -1]
            path["token"] = link.rpartition("/")[2]
            if body and chance(body, 4):
                body["value"] = {"approval": "approved", "choice": "0", "input": "blue"}.get(kind, "")
        case "get_user" | "change_user" | "list_addresses" if chance(path, 2):
            path["id"] = IDS["kit"]
        case "add_address":
            path["id"] = IDS["kit"] if chance(path, 2) else path["id"]
            if body and chance(body, 4):
                body["channel"] = "plug"
        case "claim_address" if body and chance(body, 4):
            body["channel"] = "pager"
        case "confirm_address" | "remove_my_address" if administrator and chance((path, body), 4):
            own_address(case, body)
        case "set_preferences" if body:
            like(body)
        case "create_service_user" if body and chance(body, 4):
            # Chance's short names were all taken by those who registered.
            name = f"backend-{chance(body, 2**32)}"
            body.update(username=name, email=f"{name}@example.org")
        case "change_password" if administrator and body and chance(body, 4):
            body["current_password"] = Changer.present
        case "login" | "open_session" if body and chance(body, 2):
            body.update(username="ana", password=PASSWORD)
        case "call_channel" if chance(path, 2):
            plug_in(case)


# --- What is no finding

PASSWORDS = [
    r"(new_)?password: expected at least 8 characters with a number",  # a number of any script
    r"(new_)?password: is one of the passwords that are guessed first",  # of a list
]
UNSAYABLE = {
    # Operation: what the hub may say of a field that is as the document wants it, and why no schema can.
    "*": [
        r"(cursor|after|Last-Event-ID): ",  # opaque: only what the hub gave is one
        r"[^:]*: holds a NUL character",  # no text may, in any field; in a form neither
        r"[^:]*: has a key with a NUL character",
    ],
    "register": [
        *PASSWORDS,
        r"username: none can be made from the e-mail",  # with the e-mail, which may be all in another script
        r"email: expected an e-mail address of at most 254 bytes",  # bytes
    ],
    "create_token": [r"name: expected 1 to 100 characters"],  # not only blanks, which are taken off first
    **dict.fromkeys(
        ("add_address", "claim_address"),
        [
            r"address: an address has 1 to 512 bytes",  # bytes
            r"channel: there is no channel named",
            r"channel: this channel knows people by their account",
            r"address: is needed: this channel links no accounts",  # a channel without links
        ],
    ),
    "confirm_address": [r"code: is not the one that was sent"],
    "set_preferences": [
        r"channels\[\d+\]: ",  # only channels that there are, and each once
        r"locale: expected a language as a BCP 47 tag",  # of many parts
        r"timezone: expected the name of an IANA time zone",  # one of hundreds
        r"quiet_hours: `from` and `to` must differ",
    ],
    "change_user": [
        *PASSWORDS,
        r"(active|role): is the last active administrator",
        r"(role|password): is a service user",
    ],
    "change_password": [
        *PASSWORDS,
        r"current_password: is not your password",
    ],
    "create_service_user": [r"email: expected an e-mail address of at most 254 bytes"],
    "create_feedback": [
        r"\w+: is (only|required) for kind",
        r"prompt: has 0 characters",  # not only blanks
        r"(context|metadata|callback_url): has \d+ bytes",
        r"options\[\d+\]\.value: stands twice",
        r"min_length: expected at most max_length",
        r"pattern: is not a regular expression",
        r"schema\b",  # a JSON Schema within many bounds
        r"on_expiry\b",  # as an answer to the very question
        r"callback_url: ",  # a URL; and not for people
        r"channels\[\d+\]",  # only channels that there are
    ],
    "call_channel": [r".*"],  # its adapter knows what its provider says
    "answer_feedback": [r"value\b"],  # as the question wants it
}


PAGES = {
    # What the answer page says in HTML.
    410: "the deadline of the request had passed",
    422: "the answer is none to the very question",
}
passed = collections.Counter()
"""How often each reason counted, which is told in the end: nothing is let pass in silence."""


def reason(problem, known):
    """Why a problem is right although the document allows what was sent; `None` when there is no reason."""
    if problem["type"] == "urn:hearback:problem:idempotency_mismatch":
        return "the Idempotency-Key was used before"
    if problem["type"] == "urn:hearback:problem:expired":
        return "the deadline of the request had passed"
    faults = [f"{fault['field']}: {fault['detail']}" for fault in problem.get("errors", [])] or [problem["detail"]]
    reasons = [next((text for text in known if re.match(text, fault)), None) for fault in faults]
    return None if None in reasons else reasons[0]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a finding is one."""
    if isinstance(failure, JsonSchemaError) and failure.title.startswith("SSE event"):
        # It takes the schema for that of the event with its id and name, where the document says that it is that of the
        # event's data. The end-to-end tests hold the data against it.
        passed[operation_id(case), "the schema is that of an event's data"] += 1
        return False
    if not isinstance(failure, RejectedPositiveData):
        return True
    if operation_id(case) == "answer_by_link" and response.status_code in PAGES:
        found = PAGES[response.status_code]
    else:
        found = reason(json.loads(response.content), UNSAYABLE["*"] + UNSAYABLE.get(operation_id(case), []))
    if found:
        passed[operation_id(case), found] += 1
    return not found


@atexit.register
def tell():
    for (operation, found), times in sorted(passed.items(), key=str):
        print(f"let pass {times} times in {operation}: {found}")
