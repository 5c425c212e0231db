"""Tokens of an outside issuer: the good ones read, every forged one refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.access import compact, tokens
from data.access.compact import take_apart
from data.access.jwks import keys_of
from data.access.records import KeyRecord
from data.access.roles import Role
from data.access.tokens import JwtVerifier, TokenIssuer, is_own
from data.claims import TenantId
from data.errors import ConfigError, CredentialError, UnavailableError
from tests.fakes import FakeClock
from tests.unit.access import jwt_house as house

NOW_S = 1_767_225_600.0
KIDS = {"RS256": "r", "ES256": "e", "EdDSA": "d", "HS256": None}
RECORD = KeyRecord("k" * 12, "n", "0" * 64, TenantId("a"), (Role.READER, Role.EDITOR), 1.0)


def no_fetch(url: str) -> bytes:
    raise AssertionError(url)


def verifier(folder: Path, clock: FakeClock | None = None, **changes: Any) -> JwtVerifier:
    return JwtVerifier(house.settings(folder, **changes), clock or FakeClock(), fetch=no_fetch)


def header(alg: str, **more: Any) -> dict[str, Any]:
    return {"alg": alg, "kid": KIDS.get(alg), "typ": "JWT"} | more


def bare(alg: str) -> dict[str, Any]:
    return {name: value for name, value in header(alg).items() if value is not None}


def good(alg: str = "RS256", **changes: Any) -> str:
    return house.token(bare(alg), house.claims(NOW_S, **changes))


def reason(made: JwtVerifier, text: str) -> str:
    """Return why a token is refused; every refusal reads the same from outside."""
    with pytest.raises(CredentialError) as caught:
        made.verify(take_apart(text))
    assert str(caught.value) == compact.REFUSED
    return caught.value.reason


@pytest.mark.parametrize("alg", sorted(KIDS))
def test_good_token_says_who_for_whom_and_as_what(tmp_path: Path, alg: str) -> None:
    """Each algorithm, signed by other code than verifies it."""
    found = verifier(tmp_path).verify(take_apart(good(alg)))

    assert (found.subject, found.tenant, found.roles) == (
        "jwt:https://id.example/alice",
        TenantId("a"),
        (Role.EDITOR,),
    )


def test_token_without_a_key_name_is_good_where_one_key_fits(tmp_path: Path) -> None:
    """One RSA key in the set: there is no choice."""
    text = house.token({"alg": "RS256"}, house.claims(NOW_S))

    assert verifier(tmp_path).verify(take_apart(text)).tenant == "a"


def test_token_without_a_key_name_is_refused_where_several_fit(tmp_path: Path) -> None:
    """No trying of one key after the other."""
    made = verifier(tmp_path)
    (tmp_path / "keys.json").write_bytes(house.key_set(house.rsa_entry("s", house.rsa_key("two"))))

    assert reason(made, house.token({"alg": "RS256"}, house.claims(NOW_S))) == "token: no such key"


CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"exp": NOW_S - 30}, "expired"),
    ({"exp": ...}, "exp"),
    ({"exp": "2030"}, "exp"),
    ({"exp": True}, "exp"),
    ({"exp": 1e300}, "exp"),
    ({"nbf": NOW_S + 31}, "not yet"),
    ({"nbf": "now"}, "nbf"),
    ({"iat": NOW_S + 31}, "not yet"),
    ({"aud": "other"}, "audience"),
    ({"aud": ["other"]}, "audience"),
    ({"aud": "kite2"}, "audience"),
    ({"aud": {"kite": 1}}, "audience"),
    ({"aud": ...}, "audience"),
    ({"iss": "https://id.example/"}, "issuer"),
    ({"iss": ...}, "issuer"),
    ({"sub": ...}, "subject"),
    ({"sub": 7}, "subject"),
    ({"sub": ""}, "subject"),
    ({"sub": "alice\nkey:admin"}, "subject"),
    ({"sub": "x" * 201}, "subject"),
    ({"tenant": ...}, "tenant"),
    ({"tenant": "system"}, "tenant"),
    ({"tenant": "../b"}, "tenant"),
    ({"tenant": ["a"]}, "tenant"),
    ({"roles": ...}, "roles"),
    ({"roles": []}, "roles"),
    ({"roles": ["root", 7]}, "roles"),
    ({"roles": {"admin": True}}, "roles"),
]


@pytest.mark.parametrize(("changes", "why"), CLAIMS, ids=lambda one: str(one)[:40])
def test_token_whose_claims_do_not_hold_is_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    """Times, issuer, audience, subject, tenant and roles, each missing, of another type, or another's."""
    assert reason(verifier(tmp_path), good(**changes)) == f"token: {why}"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW_S - 29},
        {"nbf": NOW_S + 30},
        {"aud": ["other", "kite"]},
        {"roles": "editor unknown"},
        {"roles": ["unknown", "editor"]},
        {"iat": ...},
    ],
    ids=str,
)
def test_token_within_the_bounds_is_good(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Clocks may differ by the leeway; audiences and roles may be lists; unknown roles are passed over."""
    assert verifier(tmp_path).verify(take_apart(good(**changes))).roles == (Role.EDITOR,)


def none() -> str:
    return house.token({"alg": "none"}, house.claims(NOW_S), alg="none")


def none_unsigned() -> str:
    return none().rsplit(".", 1)[0] + "."


def confused(secret: Callable[[], bytes]) -> Callable[[], str]:
    """HS256 under the bytes of a public key, which anybody has."""
    return lambda: house.token({"alg": "HS256", "kid": "r"}, house.claims(NOW_S), secret=secret())


def modulus() -> bytes:
    return str(house.entries()[0]["n"]).encode()


def tampered() -> str:
    first, _, last = good().split(".")
    claims = house.claims(NOW_S, roles=["admin"])
    return f"{first}.{house.b64(json.dumps(claims).encode())}.{last}"


def twice() -> str:
    body = json.dumps(house.claims(NOW_S))
    return house.token(bare("RS256"), body[:-1] + ', "tenant": "b"}')


def with_header(**more: Any) -> Callable[[], str]:
    return lambda: house.token(header("RS256", **more), house.claims(NOW_S))


FORGED: dict[str, tuple[Callable[[], str], str]] = {
    "none": (none, "algorithm"),
    "none without signature": (none_unsigned, "malformed"),
    "None in capitals": (lambda: house.token({"alg": "None"}, house.claims(NOW_S)), "algorithm"),
    "unknown algorithm": (lambda: house.token({"alg": "RS512"}, house.claims(NOW_S)), "algorithm"),
    "algorithm is no text": (lambda: house.token({"alg": ["RS256"]}, {}, alg="none"), "header"),
    "RSA key in PEM as shared secret": (confused(house.rsa_pem), "signature"),
    "key set as shared secret": (confused(house.key_set), "signature"),
    "modulus as shared secret": (confused(modulus), "signature"),
    "other shared secret": (confused(lambda: b"x" * 32), "signature"),
    "RSA key named for ES256": (
        lambda: house.token({"alg": "ES256", "kid": "r"}, house.claims(NOW_S)),
        "no such key",
    ),
    "signed by another kind of key": (
        lambda: house.token(bare("RS256"), house.claims(NOW_S), alg="ES256"),
        "signature",
    ),
    "payload changed": (tampered, "signature"),
    "name twice in the payload": (twice, "a name twice"),
    "name twice in the header": (
        lambda: house.token('{"alg": "none", "alg": "RS256"}', house.claims(NOW_S), alg="RS256"),
        "a name twice",
    ),
    "key name unknown": (with_header(kid="z"), "no such key"),
    "key name is no text": (with_header(kid=7), "header"),
    "key name is a path": (with_header(kid="../../dev/null"), "no such key"),
    "critical extension": (with_header(crit=["exp"]), "header 'crit'"),
    "b64": (with_header(b64=False, crit=["b64"]), "header 'b64'"),
    "jku": (with_header(jku="https://evil.example/keys"), "header 'jku'"),
    "x5u": (with_header(x5u="https://evil.example/c"), "header 'x5u'"),
    "x5c": (with_header(x5c=["MII"]), "header 'x5c'"),
    "jwk": (with_header(jwk=house.rsa_entry("r", house.rsa_key("evil"))), "header 'jwk'"),
    "zip": (with_header(zip="DEF"), "header 'zip'"),
    "type of another token": (with_header(typ="dpop+jwt"), "type"),
    "too long": (lambda: good(sub="x" * 9000), "too long"),
    "claims are a list": (lambda: house.token(bare("RS256"), "[]"), "malformed"),
    "claims hold NaN": (lambda: house.token(bare("RS256"), '{"exp": NaN}'), "malformed"),
    "claims nested too deep": (lambda: house.token(bare("RS256"), "[" * 5000), "malformed"),
    "not of base64": (lambda: "a." + good().split(".", 1)[1], "malformed"),
    "five parts": (lambda: good() + ".x.y", "malformed"),
    "line at the end": (lambda: good() + "\n", "malformed"),
    "empty": (lambda: "", "malformed"),
    "no letters": (lambda: "é.é.é", "malformed"),
    "signature cut": (lambda: good()[:-8], "signature"),
    "signature of EdDSA cut": (lambda: good("EdDSA")[:-8], "signature"),
    "signature of ES256 cut": (lambda: good("ES256")[:-8], "signature"),
}


@pytest.mark.parametrize("name", list(FORGED))
def test_forged_token_is_refused(tmp_path: Path, name: str) -> None:
    """One line a way to forge; all algorithms are allowed here, so nothing but the check itself refuses."""
    forge, why = FORGED[name]
    made = verifier(tmp_path)
    with pytest.raises(CredentialError) as caught:
        made.verify(take_apart(forge()))

    assert (str(caught.value), caught.value.reason) == (compact.REFUSED, f"token: {why}")


def test_algorithm_that_the_settings_do_not_name_is_refused(tmp_path: Path) -> None:
    """A good signature of another algorithm is none."""
    made = verifier(tmp_path, algorithms=("RS256",), secret_file=None)

    assert reason(made, good("EdDSA")) == "token: algorithm"
    assert reason(made, good("HS256")) == "token: algorithm"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer": ""}, "auth.jwt.issuer"),
        ({"issuer": "kite"}, "auth.jwt.issuer"),
        ({"audience": ""}, "auth.jwt.audience"),
        ({"secret_file": None}, "auth.jwt.secret_file"),
        ({"secret_file": "/nowhere"}, "cannot be read"),
        ({"jwks": None}, "auth.jwt.jwks"),
        ({"jwks": "http://id.example/keys"}, "https"),
        ({"jwks": "ftp://id.example/keys"}, "https"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """Before anybody is let in."""
    with pytest.raises(ConfigError, match=told):
        verifier(tmp_path, **changes)


@pytest.mark.parametrize("content", [b"short", house.rsa_pem(), house.key_set()])
def test_shared_secret_that_is_weak_or_a_public_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """32 bytes or more, and never what is published."""
    settings = house.settings(tmp_path)
    (tmp_path / "secret").write_bytes(content)

    with pytest.raises(ConfigError, match="secret_file"):
        JwtVerifier(settings, FakeClock(), fetch=no_fetch)


class Web:
    """The address of an issuer's keys."""

    def __init__(self) -> None:
        self.content = house.key_set()
        self.asked = 0
        self.away = False

    def __call__(self, url: str) -> bytes:
        assert url == "https://id.example/keys"
        self.asked += 1
        if self.away:
            raise UnavailableError("no route")
        return self.content


class Rig:
    """A verifier over the web, with a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.web, self.now = Web(), 0.0
        settings = house.settings(folder, jwks="https://id.example/keys")
        self.verifier = JwtVerifier(settings, FakeClock(), fetch=self.web, monotonic=lambda: self.now)

    def verify(self, kid: str = "r") -> str:
        parts = take_apart(house.token({"alg": "RS256", "kid": kid}, house.claims(NOW_S)))
        return self.verifier.verify(parts).tenant

    def waits(self, kid: str = "r") -> bool:
        parts = take_apart(house.token({"alg": "RS256", "kid": kid}, house.claims(NOW_S)))
        return self.verifier.would_wait(parts)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_keys_are_fetched_once_and_again_after_their_time(rig: Rig) -> None:
    """The first token fetches; those within the time do not."""
    assert rig.waits()
    rig.verify()
    rig.now = 299.0
    assert not rig.waits()
    rig.verify()
    assert rig.web.asked == 1
    rig.now = 300.0
    assert rig.waits()
    rig.verify()
    assert rig.web.asked == 2


def test_new_key_of_the_issuer_is_fetched_when_a_token_names_it(rig: Rig) -> None:
    """Rotation needs no waiting."""
    rig.verify()
    entry = house.rsa_entry("new", house.rsa_key())
    rig.web.content = house.key_set(entry)
    rig.now = 10.0

    assert rig.verify("new") == "a"
    assert rig.web.asked == 2


def test_unknown_key_names_fetch_at_most_every_ten_seconds(rig: Rig) -> None:
    """Whoever sends nonsense cannot have the issuer asked at will."""
    rig.verify()
    for second in range(1, 10):
        rig.now = float(second)
        with pytest.raises(CredentialError):
            rig.verify(f"z{second}")
    assert rig.web.asked == 1
    rig.now = 10.0
    with pytest.raises(CredentialError):
        rig.verify("z")

    assert rig.web.asked == 2


@pytest.mark.parametrize(
    "broken", [b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"keys": [' + b" " * 2**20, None]
)
def test_old_keys_go_on_working_when_the_new_cannot_be_read(rig: Rig, broken: bytes | None) -> None:
    """An address that is away or answers nonsense ends nobody's work."""
    rig.verify()
    rig.web.away, rig.web.content = broken is None, broken or b""
    rig.now = 1_000.0

    assert rig.verify() == "a"
    assert rig.web.asked == 2


def test_token_that_was_good_is_refused_once_the_issuer_withdrew_its_key(rig: Rig) -> None:
    """What is remembered of a signature does not outlive the key."""
    rig.verify()
    rig.verify()
    rig.web.content = json.dumps({"keys": house.entries()[1:]}).encode()
    rig.now = 300.0

    with pytest.raises(CredentialError) as caught:
        rig.verify()
    assert caught.value.reason == "token: no such key"


def test_token_that_was_good_is_checked_again_under_another_key_of_the_same_name(rig: Rig) -> None:
    """The issuer put another key in the place of the old one."""
    rig.verify()
    other = house.rsa_entry("r", house.rsa_key("two"))
    rig.web.content = json.dumps({"keys": [other]}).encode()
    rig.now = 300.0

    with pytest.raises(CredentialError) as caught:
        rig.verify()
    assert caught.value.reason == "token: signature"


def test_token_that_was_good_ends_with_its_time(tmp_path: Path) -> None:
    """A remembered signature says nothing of the clock."""
    clock = FakeClock()
    made = verifier(tmp_path, clock)
    text = good()
    made.verify(take_apart(text))
    clock.advance(700.0)

    assert reason(made, text) == "token: expired"


def test_remembered_signatures_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many tokens do not fill the memory; those forgotten are checked again and are good."""
    monkeypatch.setattr(tokens, "REMEMBERED", 2)
    made = verifier(tmp_path)
    texts = [good(sub=str(number)) for number in range(5)]
    found = [made.verify(take_apart(text)).subject[-1] for text in texts + texts]

    assert found == list("0123401234")
    assert len(made._good) <= 2


def test_key_of_another_kind_verifies_nothing() -> None:
    """Even if a key set let it through."""
    (_, _, key), *_ = keys_of(house.key_set())
    (algorithm,) = tokens._algorithms(["HS256"]).values()

    with pytest.raises(CredentialError):
        tokens._check_signature(algorithm, take_apart(good("HS256")), key)


def test_remembered_signature_does_not_cover_another_payload(tmp_path: Path) -> None:
    """A good token first, then the same signature over other claims."""
    made = verifier(tmp_path)
    first, _, last = good().split(".")
    made.verify(take_apart(good()))
    claims = house.b64(json.dumps(house.claims(NOW_S, roles=["admin"])).encode())

    assert reason(made, f"{first}.{claims}.{last}") == "token: signature"


def test_keys_that_could_never_be_read_are_no_refusal(rig: Rig) -> None:
    """The caller is asked to come back, and the address is asked again after a pause."""
    rig.web.away = True
    for _ in range(3):
        with pytest.raises(UnavailableError):
            rig.verify()
    assert rig.web.asked == 1
    rig.web.away, rig.now = False, 10.0

    assert rig.verify() == "a"


def test_key_set_gives_only_keys_that_sign() -> None:
    """Shared secrets, keys for encryption, weak and unknown ones are passed over."""
    weak = house.rsa_entry("weak", house.rsa_key("weak", 1024))
    bad = [
        weak,
        {"kty": "oct", "kid": "o", "k": "AAAA"},
        house.rsa_entry("enc", house.rsa_key()) | {"use": "enc"},
        house.rsa_entry("alg", house.rsa_key()) | {"alg": "RS512"},
        house.rsa_entry("ops", house.rsa_key()) | {"key_ops": ["encrypt"]},
        house.rsa_entry("kid", house.rsa_key()) | {"kid": 7},
        house.entries()[1] | {"crv": "P-384"},
        house.entries()[2] | {"x": "AAAA"},
        {"kty": "AKP", "kid": "pq"},
    ]

    found = keys_of(house.key_set(*bad))

    assert [(alg, kid) for alg, kid, _ in found] == [("RS256", "r"), ("ES256", "e"), ("EdDSA", "d")]


def test_own_token_is_good_for_its_time_and_ends_with_its_key() -> None:
    """Key, tenant and roles come back; the life is the shorter of the two."""
    clock = FakeClock()
    issuer = TokenIssuer(b"k" * 32, clock, ttl_s=600.0)
    given = issuer.issue(RECORD, (Role.READER,))
    parts = take_apart(given.token)
    found = issuer.verify(parts)
    short = issuer.issue(
        KeyRecord("k" * 12, "n", "0" * 64, None, (Role.ADMIN,), 1.0, NOW_S + 60.5), (Role.ADMIN,)
    )

    assert is_own(parts)
    assert (found.key_id, found.tenant, found.roles) == (RECORD.id, RECORD.tenant, (Role.READER,))
    assert (given.expires_in_s, short.expires_in_s) == (600, 60)
    clock.advance(599.0)
    issuer.verify(parts)
    clock.advance(1.0)
    with pytest.raises(CredentialError) as caught:
        issuer.verify(parts)
    assert caught.value.reason == "token: expired"


def test_own_tokens_differ_though_their_content_is_the_same() -> None:
    """Each has a name of its own."""
    issuer = TokenIssuer(b"k" * 32, FakeClock(), ttl_s=600.0)

    assert issuer.issue(RECORD, RECORD.roles).token != issuer.issue(RECORD, RECORD.roles).token


@pytest.mark.parametrize("alg", ["RS256", "EdDSA", "none", "HS256"])
def test_own_token_by_somebody_else_is_refused(alg: str) -> None:
    """To say that it is ours does not make it ours."""
    issuer = TokenIssuer(b"k" * 32, FakeClock(), ttl_s=600.0)
    claims = house.claims(NOW_S, iss="kite", sub=f"key:{RECORD.id}")

    with pytest.raises(CredentialError):
        issuer.verify(take_apart(house.token({"alg": alg}, claims)))
