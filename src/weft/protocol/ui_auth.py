"""User-interactive authentication, as a state machine without I/O.

A `Session` belongs to one operation of one user: it can't be carried to another. It remembers the request, so that
a client may retry with nothing but `auth`; and once a stage is completed the request can't change any more, or the user
would have consented to something else. A request without `auth` never succeeds.

`advance` looks at a request and says what is next: a stage to check (an `Attempt`, decided by whoever knows passwords),
a `Challenge` to answer with, or `Done`. `authenticate` does the round with a checker of the caller's. Every outcome
carries the session as it is now, to be kept; after `Done` it is to be forgotten, or its consent could be used twice.

A session holds the request as the client sent it, new passwords included: keep it in memory, or encrypted.

Rules: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from weft.protocol.errors import BadJson, Forbidden, InvalidParam, MatrixError, MissingParam, WeftError

PASSWORD: Final = "m.login.password"
RECAPTCHA: Final = "m.login.recaptcha"
SSO: Final = "m.login.sso"
EMAIL: Final = "m.login.email.identity"
MSISDN: Final = "m.login.msisdn"
DUMMY: Final = "m.login.dummy"
REGISTRATION_TOKEN: Final = "m.login.registration_token"
TERMS: Final = "m.login.terms"
OAUTH: Final = "m.oauth"

#: To attempt one of these is to complete it.
UNCHECKED_STAGES: Final = frozenset({DUMMY, TERMS})
_MAX_NAME: Final = 255

Flow = Sequence[str]
Json = dict[str, Any]


class Operation(NamedTuple):
    """What is to be authorised: a request to one path by one user."""

    method: str
    path: str
    #: None where nobody is logged in, as at registration.
    user_id: str | None = None


class Session(msgspec.Struct, frozen=True):
    session_id: str
    operation: Operation
    #: The request without `auth`.
    body: Json
    #: What each completed stage found out (JSON), in the order of completion.
    completed: dict[str, Any] = {}


class Done(NamedTuple):
    """The operation may be carried out with this body, which may be the remembered one."""

    session: Session
    body: Json


class Attempt(NamedTuple):
    """The client tries a stage that is next in a flow: check `auth`, then ask `succeeded` or `failed`."""

    session: Session
    stage: str
    auth: Json


class StageFailed(WeftError):
    """Raised by a checker: this attempt failed, another may be made. The message is shown to the client."""

    def __init__(self, message: str, *, errcode: str = "M_FORBIDDEN") -> None:
        super().__init__(message)
        self.message = message
        self.errcode = errcode


class Challenge(MatrixError):
    """The 401 that says what to do; to be raised once `session` is kept. No errcode where nothing went wrong."""

    status = 401

    def __init__(self, session: Session, scheme: Scheme, failure: StageFailed | None = None) -> None:
        super().__init__("Authentication is needed." if failure is None else failure.message)
        self.session = session
        self.failure = failure
        self._scheme = scheme

    def body(self) -> Json:
        shown: Json = {
            "flows": [{"stages": list(flow)} for flow in self._scheme.flows],
            "params": dict(self._scheme.params),
            "session": self.session.session_id,
        }
        if self.session.completed:
            shown["completed"] = list(self.session.completed)
        if self.failure is not None:
            shown |= {"errcode": self.failure.errcode, "error": self.failure.message}
        return shown


class Scheme(NamedTuple):
    """What an operation asks for. There is at least one flow, and each has at least one stage."""

    flows: Sequence[Flow]
    #: What clients need to know for a stage, by its name.
    params: Mapping[str, Any] = {}
    #: A changed request is taken over at any time: for registration, where there is no account yet to act on, and
    #: where clients are known to add to the request between stages.
    body_may_change: bool = False

    def next_stages(self, completed: Sequence[str]) -> frozenset[str]:
        """The stages that may be attempted, by the order of the flows."""
        done = len(completed)
        return frozenset(flow[done] for flow in self.flows if len(flow) > done and list(flow[:done]) == list(completed))

    def is_complete(self, completed: Sequence[str]) -> bool:
        return any(list(flow) == list(completed) for flow in self.flows)


Checker = Callable[[Attempt], Awaitable[Any]]


async def authenticate(
    scheme: Scheme, operation: Operation, body: Json, session: Session | None, new_session_id: str, check: Checker
) -> Done | Challenge:
    """A round with `advance`'s arguments. `check` gives what it found out (JSON), or raises `StageFailed`.

    Any other error that `check` raises ends the request and leaves the session as it was.
    """
    step = advance(scheme, operation, body, session, new_session_id)
    if not isinstance(step, Attempt):
        return step
    try:
        result = None if step.stage in UNCHECKED_STAGES else await check(step)
    except StageFailed as failure:
        return failed(scheme, step, failure)
    return succeeded(scheme, step, result)


def advance(
    scheme: Scheme, operation: Operation, body: Json, session: Session | None, new_session_id: str
) -> Done | Attempt | Challenge:
    """What is next for a request whose JSON body is `body`.

    `session` is the one that `session_id_of(body)` names, None if that is none or not known any more;
    `new_session_id` is an opaque id that nobody can guess, for a session that begins now.
    Raises `Forbidden` if the session is another operation's, `BadJson` for a misshapen `auth`, `M_UNKNOWN` if the
    session is not known.
    """
    auth, request = _auth_of(body), {key: value for key, value in body.items() if key != "auth"}
    if session is None:
        if session_id_of(body) is not None:
            raise MatrixError("Unknown authentication session; begin anew.")
        session = Session(new_session_id, operation, request)
    else:
        session = _continued(session, operation, request, scheme)
    if not auth:
        return Challenge(session, scheme)
    return _next_step(scheme, session, auth)


def succeeded(scheme: Scheme, attempt: Attempt, result: object) -> Done | Challenge:
    """The outcome of a request whose stage was completed; `result` is JSON."""
    return _outcome(scheme, completed(attempt.session, attempt.stage, result))


def failed(scheme: Scheme, attempt: Attempt, failure: StageFailed) -> Challenge:
    """The outcome of a request whose stage was not."""
    return Challenge(attempt.session, scheme, failure)


def complete_elsewhere(scheme: Scheme, session: Session, stage: str, result: object) -> Session:
    """For what is done outside of the request, on a fallback page or by a link in an e-mail.

    A stage completed twice counts once. Raises `Forbidden` if no flow has the stage next.
    """
    if stage in session.completed:
        return session
    if stage not in scheme.next_stages(list(session.completed)):
        raise Forbidden("This stage can't be completed now.")
    return completed(session, stage, result)


def completed(session: Session, stage: str, result: object) -> Session:
    return msgspec.structs.replace(session, completed={**session.completed, stage: result})


def session_id_of(body: Json) -> str | None:
    """The session that a request names. Raises `BadJson`."""
    session_id = _auth_of(body).get("session")
    if session_id is None:
        return None
    if not isinstance(session_id, str) or not 0 < len(session_id) <= _MAX_NAME:
        raise BadJson("`session` must be a short string.")
    return session_id


def _auth_of(body: Json) -> Json:
    auth = body.get("auth")
    if auth is None:
        return {}
    if not isinstance(auth, dict):
        raise BadJson("`auth` must be an object.")
    return auth


def _continued(session: Session, operation: Operation, request: Json, scheme: Scheme) -> Session:
    if session.operation != operation:
        raise Forbidden("The authentication session is for another operation.")
    if not request or request == session.body:
        return session
    if session.completed and not scheme.body_may_change:
        raise Forbidden("The request has changed since a stage of its authentication was completed.")
    return msgspec.structs.replace(session, body=request)


def _next_step(scheme: Scheme, session: Session, auth: Json) -> Done | Attempt | Challenge:
    stage = auth.get("type")
    if stage is not None and not isinstance(stage, str):
        raise BadJson("`type` must be a string.")
    if stage is None or stage in session.completed or scheme.is_complete(list(session.completed)):
        return _outcome(scheme, session)
    if stage not in scheme.next_stages(list(session.completed)):
        return Challenge(session, scheme, StageFailed("No flow has this stage next."))
    return Attempt(session, stage, auth)


def _outcome(scheme: Scheme, session: Session) -> Done | Challenge:
    if scheme.is_complete(list(session.completed)):
        return Done(session, session.body)
    return Challenge(session, scheme)


# What clients submit for the stages


class UserIdentifier(NamedTuple):
    """`m.id.user`: a whole user id, or its localpart."""

    user: str


class ThirdPartyIdentifier(NamedTuple):
    """`m.id.thirdparty`: an address as it is canonically written."""

    medium: str
    address: str


class PhoneIdentifier(NamedTuple):
    """`m.id.phone`: a number as it would be dialled from a country."""

    country: str
    phone: str


class PasswordAuth(NamedTuple):
    identifier: UserIdentifier | ThirdPartyIdentifier | PhoneIdentifier
    password: str


class ThreepidCredentials(NamedTuple):
    """What `m.login.email.identity` and `m.login.msisdn` submit; the last two are for an identity server."""

    sid: str
    client_secret: str
    id_server: str | None
    id_access_token: str | None


def read_identifier(data: Mapping[str, Any]) -> UserIdentifier | ThirdPartyIdentifier | PhoneIdentifier:
    """The identifier in a login or a password stage, also in the spelling from before `identifier`.

    Raises `MissingParam` or `InvalidParam`.
    """
    identifier = data.get("identifier")
    if identifier is None:
        if "user" in data:
            return UserIdentifier(_text(data, "user"))
        return ThirdPartyIdentifier(_text(data, "medium"), _text(data, "address"))
    if not isinstance(identifier, dict):
        raise InvalidParam("`identifier` must be an object.")
    match identifier.get("type"):
        case "m.id.user":
            return UserIdentifier(_text(identifier, "user"))
        case "m.id.thirdparty":
            return ThirdPartyIdentifier(_text(identifier, "medium"), _text(identifier, "address"))
        case "m.id.phone":
            return PhoneIdentifier(_text(identifier, "country"), _text(identifier, "phone"))
    raise InvalidParam("This type of identifier is not known.")


def read_password(auth: Mapping[str, Any]) -> PasswordAuth:
    """Raises `MissingParam` or `InvalidParam`."""
    return PasswordAuth(read_identifier(auth), _text(auth, "password"))


def read_token(auth: Mapping[str, Any]) -> str:
    """The token of `m.login.registration_token`. Raises `MissingParam` or `InvalidParam`."""
    return _text(auth, "token")


def read_threepid_credentials(auth: Mapping[str, Any]) -> ThreepidCredentials:
    """Raises `MissingParam` or `InvalidParam`. Old clients write `threepidCreds`."""
    given = auth.get("threepid_creds", auth.get("threepidCreds"))
    if not isinstance(given, dict):
        raise MissingParam("`threepid_creds` is missing.")
    return ThreepidCredentials(
        _text(given, "sid"),
        _text(given, "client_secret"),
        _text(given, "id_server") if given.get("id_server") is not None else None,
        _text(given, "id_access_token") if given.get("id_access_token") is not None else None,
    )


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if value is None:
        raise MissingParam(f"`{key}` is missing.")
    if not isinstance(value, str):
        raise InvalidParam(f"`{key}` must be a string.")
    return value
