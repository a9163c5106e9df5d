"""User-interactive authentication: flows in order, sessions bound to their operation, and hostile requests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import ui_auth
from weft.protocol.errors import BadJson, Forbidden, InvalidParam, LimitExceeded, MatrixError, MissingParam
from weft.protocol.ui_auth import (
    Attempt,
    Challenge,
    Done,
    Operation,
    Scheme,
    Session,
    StageFailed,
    advance,
    authenticate,
)

FOO, BAR, BAZ = "example.type.foo", "example.type.bar", "example.type.baz"
TWO_FLOWS = Scheme([[FOO, BAR], [FOO, BAZ]], {BAZ: {"example_key": "foobar"}})
OPERATION = Operation("POST", "/_matrix/client/v3/endpoint", "@alice:example.org")
BODY = {"a_request_parameter": "something"}
GOOD = "verypoorsharedsecret"


async def check(attempt: Attempt) -> Any:
    if attempt.auth.get("busy"):
        raise LimitExceeded(1000)
    if attempt.auth.get("secret") != GOOD:
        raise StageFailed("Invalid password")
    return {"by": attempt.stage}


class Client:
    """Talks to one endpoint, and keeps the session as a server would."""

    def __init__(self, scheme: Scheme = TWO_FLOWS, operation: Operation = OPERATION) -> None:
        self.scheme, self.operation, self.number = scheme, operation, 0
        self.sessions: dict[str, Session] = {}

    async def send(self, body: dict[str, Any], operation: Operation | None = None) -> Done | Challenge:
        self.number += 1
        session = self.sessions.get(ui_auth.session_id_of(body) or "")
        answer = await authenticate(
            self.scheme, operation or self.operation, body, session, f"session{self.number}", check
        )
        kept = msgspec.json.decode(msgspec.json.encode(answer.session), type=Session)
        assert kept == answer.session
        self.sessions[kept.session_id] = kept
        return answer

    async def stage(self, stage: str, body: dict[str, Any] | None = None, secret: str = GOOD) -> Done | Challenge:
        auth = {"type": stage, "session": "session1", "secret": secret}
        return await self.send({**(BODY if body is None else body), "auth": auth})


def said(answer: Done | Challenge) -> dict[str, Any]:
    assert isinstance(answer, Challenge)
    assert answer.status == 401
    return answer.body()


CHALLENGE = {
    "flows": [{"stages": [FOO, BAR]}, {"stages": [FOO, BAZ]}],
    "params": {BAZ: {"example_key": "foobar"}},
    "session": "session1",
}


async def test_the_conversation_of_the_specification() -> None:
    client = Client()
    assert said(await client.send(BODY)) == CHALLENGE
    assert said(await client.stage(FOO)) == {**CHALLENGE, "completed": [FOO]}
    assert said(await client.stage(BAR, secret="wrong")) == {
        **CHALLENGE,
        "completed": [FOO],
        "errcode": "M_FORBIDDEN",
        "error": "Invalid password",
    }
    done = await client.stage(BAR)
    assert isinstance(done, Done)
    assert done.body == BODY
    assert done.session.completed == {FOO: {"by": FOO}, BAR: {"by": BAR}}


async def test_either_flow_leads_to_the_end() -> None:
    client = Client()
    await client.send(BODY)
    await client.stage(FOO)
    assert isinstance(await client.stage(BAZ), Done)


@pytest.mark.parametrize("auth", [None, {}])
async def test_nothing_succeeds_without_auth(auth: Any) -> None:
    client = Client(Scheme([[ui_auth.DUMMY]]))
    assert "errcode" not in said(await client.send(BODY))
    assert "errcode" not in said(await client.send({**BODY, "auth": auth}))


@pytest.mark.parametrize("stage", [ui_auth.DUMMY, ui_auth.TERMS])
async def test_stages_that_need_no_check(stage: str) -> None:
    client = Client(Scheme([[stage]]))
    await client.send(BODY)
    assert isinstance(await client.stage(stage, secret="none"), Done)


@pytest.mark.parametrize("stages", [[BAR], [BAZ], ["unknown"], [FOO, "unknown"]])
async def test_stages_out_of_order_are_refused(stages: list[str]) -> None:
    client = Client()
    await client.send(BODY)
    for stage in stages:
        answer = await client.stage(stage)
    assert said(answer)["errcode"] == "M_FORBIDDEN"
    assert said(answer).get("completed", []) == [stage for stage in stages if stage == FOO]


async def test_a_flow_that_is_the_beginning_of_another_ends_first() -> None:
    client = Client(Scheme([[FOO, BAR], [FOO]]))
    await client.send(BODY)
    assert isinstance(await client.stage(FOO), Done)


async def test_completed_stages_are_not_tried_again() -> None:
    client = Client()
    await client.send(BODY)
    await client.stage(FOO)
    again = said(await client.stage(FOO, secret="wrong"))
    assert again == {**CHALLENGE, "completed": [FOO]}
    await client.stage(BAR)
    assert isinstance(await client.stage(BAR, secret="wrong"), Done)
    assert isinstance(await client.stage(BAZ, secret="wrong"), Done)


async def test_the_first_attempt_may_come_with_the_first_request() -> None:
    client = Client(Scheme([[FOO]]))
    done = await client.send({**BODY, "auth": {"type": FOO, "secret": GOOD}})
    assert isinstance(done, Done)
    assert done.body == BODY


async def test_a_retry_with_auth_alone_means_the_first_request() -> None:
    client = Client()
    await client.send(BODY)
    await client.stage(FOO, body={})
    done = await client.stage(BAR, body={})
    assert isinstance(done, Done)
    assert done.body == BODY


async def test_stages_completed_elsewhere() -> None:
    client = Client()
    await client.send(BODY)
    session = client.sessions["session1"]
    with pytest.raises(Forbidden):
        ui_auth.complete_elsewhere(TWO_FLOWS, session, BAR, None)
    for stage in (FOO, FOO, BAR):
        client.sessions["session1"] = ui_auth.complete_elsewhere(
            TWO_FLOWS, client.sessions["session1"], stage, {"page": 1}
        )
    done = await client.send({"auth": {"session": "session1"}})
    assert isinstance(done, Done)
    assert (done.body, done.session.completed[BAR]) == (BODY, {"page": 1})


async def test_asking_how_far_one_is() -> None:
    client = Client()
    await client.send(BODY)
    await client.stage(FOO)
    assert said(await client.send({"auth": {"session": "session1"}})) == {**CHALLENGE, "completed": [FOO]}


@pytest.mark.parametrize(
    "other",
    [
        OPERATION._replace(method="DELETE"),
        OPERATION._replace(path="/_matrix/client/v3/other"),
        OPERATION._replace(user_id="@bob:example.org"),
        OPERATION._replace(user_id=None),
    ],
)
async def test_a_session_is_for_one_operation(other: Operation) -> None:
    client = Client()
    await client.send(BODY)
    await client.stage(FOO)
    before = client.sessions["session1"]
    with pytest.raises(Forbidden):
        await client.send({**BODY, "auth": {"session": "session1", "type": BAR, "secret": GOOD}}, other)
    assert client.sessions["session1"] == before


async def test_consent_to_one_request_is_not_consent_to_another() -> None:
    client = Client()
    await client.send(BODY)
    await client.stage(FOO)
    with pytest.raises(Forbidden):
        await client.stage(BAR, body={"a_request_parameter": "something else"})
    assert isinstance(await client.stage(BAR), Done)


async def test_before_any_consent_the_request_may_change() -> None:
    client = Client(Scheme([[FOO]]))
    await client.send({})
    assert said(await client.stage(FOO, secret="wrong"))["error"] == "Invalid password"
    done = await client.stage(FOO, body={"changed": 1})
    assert isinstance(done, Done)
    assert done.body == {"changed": 1}


async def test_registration_may_change_its_request() -> None:
    client = Client(TWO_FLOWS._replace(body_may_change=True))
    await client.send(BODY)
    await client.stage(FOO)
    done = await client.stage(BAR, body={"changed": 1})
    assert isinstance(done, Done)
    assert done.body == {"changed": 1}


async def test_other_errors_of_a_check_pass_through() -> None:
    client = Client()
    await client.send(BODY)
    with pytest.raises(LimitExceeded):
        await client.send({"auth": {"session": "session1", "type": FOO, "busy": True}})
    assert client.sessions["session1"].completed == {}


async def test_unknown_sessions() -> None:
    with pytest.raises(MatrixError) as refusal:
        await Client().stage(FOO)
    assert (refusal.value.errcode, refusal.value.status) == ("M_UNKNOWN", 400)


def test_failures_say_their_errcode() -> None:
    attempt = advance(Scheme([[FOO]]), OPERATION, {"auth": {"type": FOO}}, None, "s")
    assert isinstance(attempt, Attempt)
    answer = ui_auth.failed(Scheme([[FOO]]), attempt, StageFailed("Used up.", errcode="M_UNAUTHORIZED"))
    assert (answer.body()["errcode"], answer.body()["error"]) == ("M_UNAUTHORIZED", "Used up.")


@pytest.mark.parametrize(
    "auth",
    [
        [],
        "x",
        1,
        {"session": 1, "type": FOO},
        {"session": "", "type": FOO},
        {"session": "a" * 256, "type": FOO},
        {"type": 1},
        {"type": []},
        {"type": {}},
    ],
)
async def test_misshapen_auth(auth: Any) -> None:
    with pytest.raises(BadJson):
        await Client().send({**BODY, "auth": auth})


USER = {"type": "m.id.user", "user": "alice"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"identifier": USER}, ui_auth.UserIdentifier("alice")),
        ({"identifier": USER, "user": "other"}, ui_auth.UserIdentifier("alice")),
        ({"user": "@alice:b"}, ui_auth.UserIdentifier("@alice:b")),
        ({"medium": "email", "address": "a@b"}, ui_auth.ThirdPartyIdentifier("email", "a@b")),
        (
            {"identifier": {"type": "m.id.thirdparty", "medium": "email", "address": "a@b"}},
            ui_auth.ThirdPartyIdentifier("email", "a@b"),
        ),
        (
            {"identifier": {"type": "m.id.phone", "country": "GB", "phone": "07700"}},
            ui_auth.PhoneIdentifier("GB", "07700"),
        ),
    ],
)
def test_identifiers(data: dict[str, Any], expected: object) -> None:
    assert ui_auth.read_identifier(data) == expected
    assert ui_auth.read_password({**data, "password": "x"}) == (expected, "x")
    with pytest.raises(MissingParam):
        ui_auth.read_password(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, MissingParam),
        ({"medium": "email"}, MissingParam),
        ({"user": 1}, InvalidParam),
        ({"user": None}, MissingParam),
        ({"identifier": "alice"}, InvalidParam),
        ({"identifier": {}}, InvalidParam),
        ({"identifier": {"type": "m.id.other"}}, InvalidParam),
        ({"identifier": {"type": ["m.id.user"]}}, InvalidParam),
        ({"identifier": {"type": "m.id.user"}}, MissingParam),
        ({"identifier": {"type": "m.id.user", "user": []}}, InvalidParam),
        ({"identifier": {"type": "m.id.thirdparty", "medium": "email"}}, MissingParam),
        ({"identifier": {"type": "m.id.phone", "phone": "1"}}, MissingParam),
    ],
)
def test_what_is_no_identifier(data: dict[str, Any], error: type[MatrixError]) -> None:
    with pytest.raises(error):
        ui_auth.read_identifier(data)


def test_tokens_and_third_party_credentials() -> None:
    assert ui_auth.read_token({"token": "fBVFdqVE"}) == "fBVFdqVE"
    with pytest.raises(MissingParam):
        ui_auth.read_token({})
    short = {"sid": "1", "client_secret": "s"}
    assert ui_auth.read_threepid_credentials({"threepid_creds": short}) == ("1", "s", None, None)
    assert ui_auth.read_threepid_credentials({"threepidCreds": short}) == ("1", "s", None, None)
    whole = {**short, "id_server": "id.example", "id_access_token": "t"}
    assert ui_auth.read_threepid_credentials({"threepid_creds": whole}) == ("1", "s", "id.example", "t")
    unfinished: list[dict[str, Any]] = [{}, {"threepid_creds": []}, {"threepid_creds": {"sid": "1"}}]
    for bad in unfinished:
        with pytest.raises(MissingParam):
            ui_auth.read_threepid_credentials(bad)
    with pytest.raises(InvalidParam):
        ui_auth.read_threepid_credentials({"threepid_creds": {**whole, "id_server": 1}})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
stages = st.sampled_from([FOO, BAR, BAZ, "other"])
auths = st.fixed_dictionaries(
    {},
    optional={
        "type": stages | anything,
        "session": st.just("s") | anything,
        **dict.fromkeys(("identifier", "password", "user", "token", "threepid_creds"), anything),
    },
)
flows = st.lists(st.lists(stages, min_size=1, max_size=3, unique=True), min_size=1, max_size=3)


@given(flows, st.lists(stages, max_size=8))
def test_whatever_is_tried_only_a_whole_flow_leads_to_the_end(offered: list[list[str]], tried: list[str]) -> None:
    scheme = Scheme(offered)
    session = advance(scheme, OPERATION, BODY, None, "s").session
    for stage in tried:
        step = advance(scheme, OPERATION, {"auth": {"session": "s", "type": stage}}, session, "new")
        if isinstance(step, Attempt):
            step = ui_auth.succeeded(scheme, step, None)
        session = step.session
        assert any(flow[: len(session.completed)] == list(session.completed) for flow in offered)
        assert isinstance(step, Done) is (list(session.completed) in offered)


@given(auths | anything, anything)
def test_hostile_requests_are_answered_or_refused(auth: Any, other: Any) -> None:
    session = Session("s", OPERATION, BODY, {FOO: None})
    for known in (None, session):
        try:
            step = advance(TWO_FLOWS, OPERATION, {"x": other, "auth": auth}, known, "new")
        except MatrixError:
            continue
        assert not isinstance(step, Done)


@given(auths)
def test_hostile_stage_data_is_read_or_refused(auth: dict[str, Any]) -> None:
    for read in (ui_auth.read_password, ui_auth.read_token, ui_auth.read_threepid_credentials):
        try:
            read(auth)
        except (MissingParam, InvalidParam):
            continue
