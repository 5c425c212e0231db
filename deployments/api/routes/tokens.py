"""``POST /oauth/token``: an access token for an API key, by OAuth 2 client credentials (RFC 6749 §4.4)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from data.access.authenticator import client_of
from data.access.principal import Principal
from data.access.records import SYSTEM_TENANT
from data.access.roles import highest
from data.errors import AuthError, InvalidValueError, RequestError, UnavailableError
from deployments.api.context import PRINCIPAL_KEY
from deployments.api.errors import MediaTypeError
from deployments.api.reading import media_type_of
from deployments.api.responses import json_response
from deployments.services import Services

FORM_TYPE = "application/x-www-form-urlencoded"
GRANT = "client_credentials"
_MAX_FIELDS = 16


class TokenRequestError(RequestError):
    """A token cannot be given; ``oauth_error`` is RFC 6749's word for it, ``reason`` is for the audit."""

    def __init__(self, message: str, oauth_error: str, reason: str = "") -> None:
        super().__init__(message, oauth_error, reason)
        self.oauth_error = oauth_error
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class ClientRefusedError(TokenRequestError, AuthError):
    """The client's credentials are not good."""


class TokenRoutes:
    """Gives access tokens. One a process."""

    def __init__(self, services: Services) -> None:
        self._access = services.access

    async def token(self, request: Request) -> Response:
        """Give a token for a key, with its rights or fewer; it ends with the key.

        The client's id is the key's id and its secret the key itself, as Basic or in the form.
        """
        if self._access.grant is None:
            raise UnavailableError("This installation asks for no credentials, so it gives no tokens.")
        form = await _form(request)
        if form.get("grant_type") != GRANT:
            raise TokenRequestError(f"grant_type must be {GRANT}.", "unsupported_grant_type")
        address = self._access.address_of(request.scope)
        try:
            client, secret = client_of(request.headers.get("authorization"), form)
            given = await self._access.grant(client, secret, address=address, scope=form.get("scope", ""))
        except AuthError as exc:
            raise ClientRefusedError(str(exc), "invalid_client", getattr(exc, "reason", "")) from exc
        except InvalidValueError as exc:
            raise TokenRequestError(str(exc), "invalid_scope") from exc
        request.scope[PRINCIPAL_KEY] = Principal(f"key:{client}", SYSTEM_TENANT, highest(given.roles))
        told = {
            "access_token": given.token,
            "token_type": "Bearer",
            "expires_in": given.expires_in_s,
            "scope": " ".join(given.roles),
        }
        return json_response(told, headers={"Cache-Control": "no-store"})


async def _form(request: Request) -> dict[str, str]:
    if media_type_of(request) != FORM_TYPE:
        raise MediaTypeError(f"Send the form with Content-Type: {FORM_TYPE}.")
    try:
        pairs = parse_qsl((await request.body()).decode("ascii"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise TokenRequestError(
            "The form cannot be read: send fields as name=value.", "invalid_request"
        ) from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise TokenRequestError("A field of the form came more than once: send it once.", "invalid_request")
    return form
