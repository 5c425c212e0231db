"""``/env/*`` and ``/sessions``: reinforcement-learning sessions over the shared store."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from data.errors import InvalidValueError, NotFoundError
from deployments.api.context import tenant_of
from deployments.api.reading import chosen_frameworks, chosen_weights, fit, json_body
from deployments.api.responses import json_response
from deployments.api.schemas import SESSION_ID_PATTERN, ConfigFields, ResetRequest, StepRequest
from deployments.services import Services
from deployments.sessions.environment import (
    DEFAULT_MAX_STEPS,
    SessionConfig,
    render_json,
    render_text,
    reset_answer,
    step_answer,
    summary,
)
from deployments.sessions.lifecycle import ResetOrder, Sessions
from deployments.sessions.rewards import RewardConfig

_SESSION_ID = re.compile(SESSION_ID_PATTERN)
#: Sessions on one page of ``GET /sessions`` when the caller names no limit, and the most it may name.
MAX_PAGE = 1_000


class SessionRoutes:
    """Runs sessions. One a process; all of its state is in the store."""

    def __init__(self, services: Services) -> None:
        self._frameworks = services.frameworks
        self._sessions = Sessions(services, quota=services.access.session_quota)

    async def reset(self, request: Request) -> Response:
        """Start a session, or start it again."""
        asked = fit(ResetRequest, await json_body(request))
        config = self._config(asked.config) if asked.config is not None else None
        order = ResetOrder(asked.session_id, config, asked.seed)
        return json_response(reset_answer(await self._sessions.reset(tenant_of(request), order)))

    async def step(self, request: Request) -> Response:
        """Verify a claim as the next step of a session."""
        asked = fit(StepRequest, await json_body(request))
        state = await self._sessions.open_state(tenant_of(request), asked.session_id)
        weights = chosen_weights(asked.framework_weights, state.config.frameworks)
        after = await self._sessions.step(tenant_of(request), state, asked.claim, weights)
        return json_response(step_answer(after))

    async def render(self, request: Request) -> Response:
        """Show the steps of a session's episode, as JSON or as text for a person."""
        mode = request.query_params.get("mode", "json")
        if mode not in ("json", "human"):
            raise InvalidValueError("mode is not known: use json or human.")
        state, history = await self._sessions.render(tenant_of(request), _session_id(request))
        answer = render_json(state, history)
        if mode == "human":
            answer = {"rendered": render_text(state, history), "history": answer["history"]}
        return json_response(answer)

    async def listing(self, request: Request) -> Response:
        """List sessions by id; ``X-Next-Cursor`` names the last one shown when there are more."""
        limit = _page_size(request.query_params.get("limit"))
        cursor = request.query_params.get("cursor", "")
        states = await self._sessions.listing(tenant_of(request))
        following = [state for state in states if state.session_id > cursor]
        page = following[:limit]
        headers = {"X-Next-Cursor": page[-1].session_id} if len(following) > limit else None
        return json_response([summary(state) for state in page], headers=headers)

    async def delete(self, request: Request) -> Response:
        """Remove a session."""
        session_id = _session_id(request)
        await self._sessions.delete(tenant_of(request), session_id)
        return json_response({"message": f"Session {session_id} deleted"})

    def _config(self, fields: ConfigFields) -> SessionConfig:
        frameworks = chosen_frameworks(fields.frameworks, self._frameworks, "config.frameworks")
        given = fields.reward_config
        reward = RewardConfig(**given.model_dump()) if given is not None else None
        defaults = SessionConfig(frameworks, reward=reward)
        return SessionConfig(
            frameworks=frameworks,
            max_steps=fields.max_steps or DEFAULT_MAX_STEPS,
            max_text_length=fields.max_text_length or defaults.max_text_length,
            reward=reward,
        )


def _session_id(request: Request) -> str:
    session_id: str = request.path_params["session_id"]
    if not _SESSION_ID.fullmatch(session_id):
        raise NotFoundError(
            "There is no such session: an id has letters, digits, dots, dashes and underscores."
        )
    return session_id


def _page_size(text: str | None) -> int:
    if text is None:
        return MAX_PAGE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PAGE):
        raise InvalidValueError(f"limit must be a whole number from 1 to {MAX_PAGE}.")
    return int(text[:9])
