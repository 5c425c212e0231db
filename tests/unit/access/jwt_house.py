"""An outside issuer for the tests: its keys, and tokens good and forged, made by other code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from configs.schema import JwtSettings

ISSUER, AUDIENCE = "https://id.example", "kite"
SECRET = "shared-between-the-two-of-us-only-0123456789"


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    del name
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def rsa_entry(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "use": "sig", "n": number(public.n), "e": number(public.e)}


def entries() -> list[dict[str, Any]]:
    point = ec_key().public_key().public_numbers()
    raw = ed_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return [
        rsa_entry("r", rsa_key()),
        {
            "kty": "EC",
            "crv": "P-256",
            "kid": "e",
            "x": b64(point.x.to_bytes(32)),
            "y": b64(point.y.to_bytes(32)),
        },
        {"kty": "OKP", "crv": "Ed25519", "kid": "d", "x": b64(raw)},
    ]


def key_set(*more: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": [*entries(), *more]}).encode()


def rsa_pem() -> bytes:
    return rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def claims(now_s: float, **changes: Any) -> dict[str, Any]:
    told = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "iat": int(now_s),
        "exp": int(now_s) + 600,
        "tenant": "a",
        "roles": ["editor"],
    }
    return {name: value for name, value in (told | changes).items() if value is not ...}


def signature(alg: str, signed: bytes, secret: bytes = SECRET.encode()) -> bytes:
    if alg == "RS256":
        return rsa_key().sign(signed, padding.PKCS1v15(), SHA256())
    if alg == "ES256":
        r, s = decode_dss_signature(ec_key().sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
    if alg == "EdDSA":
        return ed_key().sign(signed)
    if alg == "HS256":
        return hmac.new(secret, signed, hashlib.sha256).digest()
    return b"x"


def token(header: Mapping[str, Any] | str, body: Mapping[str, Any] | str, **how: Any) -> str:
    """Sign ``body`` as ``header`` says, or as ``alg`` does."""
    told = header if isinstance(header, str) else json.dumps(header)
    said = body if isinstance(body, str) else json.dumps(body)
    signed = f"{b64(told.encode())}.{b64(said.encode())}"
    alg = how.pop("alg", None) or json.loads(told)["alg"]
    return f"{signed}.{b64(signature(alg, signed.encode(), **how))}"


def settings(folder: Path, **changes: Any) -> JwtSettings:
    (folder / "keys.json").write_bytes(key_set())
    (folder / "secret").write_text(SECRET)
    told: dict[str, Any] = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ("HS256", "RS256", "ES256", "EdDSA"),
        "jwks": str(folder / "keys.json"),
        "secret_file": str(folder / "secret"),
        "leeway_s": 30.0,
    }
    return JwtSettings(**(told | changes))
