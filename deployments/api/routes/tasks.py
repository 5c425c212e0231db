"""``/tasks``: claims to verify later, how they stand, tried again, given up; ``/queue``: how many."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.errors import ClaimRejectedError, CorruptDataError, UnavailableError
from data.queue.tasks import Task, TaskState
from deployments.api.context import pay_for_items, tenant_of
from deployments.api.errors import SchemaMisfitError
from deployments.api.labels import scheme_named
from deployments.api.paging import Cursor, cursor_text, read_cursor, read_limit
from deployments.api.reading import QuestionReader, claim_of, fit, json_body, read_context
from deployments.api.repeats import Repeats
from deployments.api.responses import json_response
from deployments.api.task_schemas import TaskRequest
from deployments.api.vector_requests import id_made, id_seed, read_choice
from deployments.services import Services
from deployments.task_desk import TaskDesk, TaskWish
from deployments.task_documents import QueuedQuestion, read_payload, read_result

#: Items of a list read before other requests get a turn on the event loop.
_TURN = 32


class TaskRoutes:
    """Answers about tasks. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._repeats = Repeats(services.store)

    async def submit(self, request: Request) -> Response:
        """Queue one claim, or a list of them, all or none; each is answered as ``/verify`` answers it.

        A list with a bad item is refused as a whole. ``Location`` is where a single task, or the list of
        tasks, can be looked at.
        """
        body = await json_body(request)
        items = self._items(body)
        await pay_for_items(request, len(items))

        async def answer() -> Response:
            wishes = await self._wishes(request, items, is_list=items is body)
            tasks = await self._desk().submit(tenant_of(request), wishes)
            told = [task_answer(task, with_result=False) for task in tasks]
            base = request.url.path.removesuffix("/").removesuffix("/verify")
            where = base if items is body else f"{base}/{quote(tasks[0].id, safe='')}"
            return json_response(told if items is body else told[0], status=202, headers={"Location": where})

        return await self._repeats.once(request, answer)

    async def show(self, request: Request) -> Response:
        """Show how a task stands; with its result when it is done."""
        task = await self._desk().task(tenant_of(request), request.path_params["task_id"])
        return json_response(task_answer(task, with_result=True))

    async def listing(self, request: Request) -> Response:
        """List your tasks, newest first, without results; ``X-Next-Cursor`` leads on to the older ones."""
        limit, cursor = read_limit(request.query_params), read_cursor(request.query_params)
        state = read_choice(request.query_params, "state", TaskState)
        page = await self._desk().page(
            tenant_of(request), state, limit=limit, cursor=cursor.at if cursor else None
        )
        headers = {} if page.cursor is None else {"X-Next-Cursor": cursor_text(Cursor(page.cursor, ""))}
        return json_response([task_answer(task, with_result=False) for task in page.tasks], headers=headers)

    async def retry(self, request: Request) -> Response:
        """Give a dead task all its attempts again, at once."""
        task = await self._desk().retry(tenant_of(request), request.path_params["task_id"])
        return json_response(task_answer(task, with_result=False))

    async def cancel(self, request: Request) -> Response:
        """Give up a task that has not ended; what is at work on it goes for nothing."""
        task = await self._desk().cancel(tenant_of(request), request.path_params["task_id"])
        return json_response(task_answer(task, with_result=False))

    async def depth(self, request: Request) -> Response:
        """Tell how many tasks you have in each state, and how many may be unfinished."""
        depth = await self._desk().depth(tenant_of(request))
        return json_response({**{str(state): n for state, n in depth.states.items()}, "limit": depth.most})

    async def counts(self, request: Request) -> Response:
        """Tell how many tasks of each kind are where, those of every tenant, and how old the oldest is."""
        del request
        return json_response([msgspec.to_builtins(each) for each in await self._desk().counts()])

    def _desk(self) -> TaskDesk:
        if self._services.tasks is None:
            raise UnavailableError("This installation keeps no queue.")
        return self._services.tasks

    def _items(self, body: Any) -> list[Any]:
        items = body if isinstance(body, list) else [body]
        most = self._services.limits.batch_claims
        if not 1 <= len(items) <= most:
            raise SchemaMisfitError(f"The list must have 1 to {most} requests as /verify takes them.")
        return items

    async def _wishes(self, request: Request, items: list[Any], *, is_list: bool) -> list[TaskWish]:
        reader = QuestionReader(self._services.frameworks, self._services.seq_at, tenant_of(request))
        scheme, seed = scheme_named(request.query_params.get("label_scheme")), id_seed(request)
        wishes: list[TaskWish] = []
        for place, item in enumerate(items):
            if place % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            try:
                wishes.append(await _wish(item, reader, scheme=scheme, given_id=id_made(seed, place)))
            except (SchemaMisfitError, ClaimRejectedError) as exc:
                if not is_list:
                    raise
                raise _blamed(exc, place) from None
        _once_each(wishes)
        return wishes


async def _wish(item: Any, reader: QuestionReader, *, scheme: str | None, given_id: str) -> TaskWish:
    asked = fit(TaskRequest, item)
    ask = await reader.questions(asked)
    question = ask(claim_of(asked.claim, reader.tenant, read_context(asked.context)))
    queued = QueuedQuestion(question, scheme, "latency" in (asked.include or ()))
    priority = None if asked.priority == "utility" else asked.priority or 0
    return TaskWish(asked.id or given_id, queued, priority, named=asked.id is not None)


def _blamed(exc: SchemaMisfitError | ClaimRejectedError, place: int) -> SchemaMisfitError:
    """Return the error with the item of the list that it is about."""
    found = exc.errors if isinstance(exc, SchemaMisfitError) else [{"field": "claim", "reason": str(exc)}]
    return SchemaMisfitError(
        f"[{place}]: {exc}", [{**entry, "field": f"[{place}].{entry['field']}"} for entry in found]
    )


def _once_each(wishes: list[TaskWish]) -> None:
    seen: set[str] = set()
    for place, wish in enumerate(wishes):
        if wish.id in seen:
            reason = "is the id of another item of the list: give each its own"
            raise SchemaMisfitError(
                f"[{place}].id: {reason}.", [{"field": f"[{place}].id", "reason": reason}]
            )
        seen.add(wish.id)


def task_answer(task: Task, *, with_result: bool) -> dict[str, Any]:
    """Return a task as it is shown."""
    shown = msgspec.Raw(read_result(task.result)) if with_result and task.result is not None else None
    return {
        "id": task.id,
        "state": task.state,
        "claim": _claim_of(task),
        "priority": task.priority,
        "attempts": task.attempts,
        "created_at": _instant(task.created_s),
        "not_before": _instant(task.not_before_s),
        "ended_at": None if task.ended_s is None else _instant(task.ended_s),
        "error": task.error or None,
        "result": shown,
    }


def _claim_of(task: Task) -> str:
    try:
        return read_payload(task.payload, task.tenant).question.claim.text
    except CorruptDataError:
        return ""  # of another version: the rest can be shown all the same


def _instant(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds")
