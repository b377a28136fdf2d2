"""The command line of policies: which trained model replies for which role, from the next call on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli_options import AsJson, Local, err, markup, out, print_json, show_table
from app.core.errors import UnfitPolicy

if TYPE_CHECKING:
    from app.core.policies import Score, Served
    from app.db.engine import Sessions
    from app.services.policies import Policy, Promotion
    from app.settings import Settings

policies_cli = typer.Typer(no_args_is_help=True, help="Policies: trained models, listed, added, promoted, rolled back.")

Name = Annotated[str, typer.Argument(help="The policy's name, without the hash.")]
# As the core has them; its own module takes long to import.
RoleName = Literal["extractor", "manager", "answerer"]
RoleArgument = Annotated[RoleName, typer.Argument(help="The role to roll back.")]


@policies_cli.command("list")
def list_policies(as_json: AsJson = False, local: Local = False) -> None:
    """List the policies, which of them reply now, and the latest promotions."""
    from app.services import policies

    async def read() -> tuple[list[Policy], list[Promotion]]:
        async with _opened(local) as place:
            return await policies.list_policies(place.sessions), await policies.history(place.sessions)

    found, promotions = asyncio.run(read())
    if as_json:
        listed = [{"label": one.label, **one.model_dump(mode="json")} for one in found]
        print_json({"policies": listed, "promotions": [one.model_dump(mode="json") for one in promotions]})
        return
    rows = []
    for one in found:
        stamp = one.stamp
        scores = "; ".join(_shown(score) for score in stamp.scores)
        cells = [stamp.role.value, one.label, "now" if one.promoted else "", stamp.base.name, stamp.form]
        cells += [one.folder or f"served as {one.model}", scores, f"{one.added_at:%Y-%m-%d %H:%M}"]
        rows.append(cells)
    show_table(out, ("role", "policy", "replies", "made from", "form", "where", "scores", "added"), rows)
    for change in promotions[:10]:
        policy = change.policy or "the configured model"
        out.print(markup(f"{change.promoted_at:%Y-%m-%d %H:%M} {change.role.value}: {policy}"), style="dim")


@policies_cli.command("add")
def add_policy(
    folder: Annotated[Path | None, typer.Argument(help="An exported adapter: the model server loads it.")] = None,
    model: Annotated[
        str | None, typer.Option(help="What the model server serves it as, where it does so already.")
    ] = None,
    stamp: Annotated[Path | None, typer.Option(help="With --model: the policy.json of the exported folder.")] = None,
    served_folder: Annotated[
        str | None, typer.Option(help="The folder as the model server sees it, where that is another path.")
    ] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Make an exported policy known; refused where the service asks otherwise than it was trained."""
    from app.core.policies import check
    from app.services import policies

    policy = _read(folder, model, stamp, served_folder)

    async def add() -> list[str]:
        async with _opened(local) as place:
            role = policy.stamp.role
            differing = check(policy.stamp, role, getattr(place.settings, role.value))
            await policies.add(place.sessions, policy)
            return differing

    differing = asyncio.run(add())
    if as_json:
        print_json({"policy": policy.label, "role": policy.stamp.role.value, "differing": differing})
        return
    for difference in differing:
        err.print(f"It is not asked quite as it was trained: {markup(difference)}.", soft_wrap=True)
    out.print(f"Policy {markup(policy.label)} of the {policy.stamp.role.value} is known; promote it to use it.")


@policies_cli.command("promote")
def promote_policy(name: Name, local: Local = False, as_json: AsJson = False) -> None:
    """Have a policy reply for its role from the next call on; a vLLM is made to load its adapter first."""
    from app.core.policies import check
    from app.services import policies

    async def promote() -> Served:
        async with _opened(local) as place:
            policy = await policies.find(place.sessions, name)
            check(policy.stamp, policy.stamp.role, getattr(place.settings, policy.stamp.role.value))
            await _prepare(place, policy)
            await policies.promote(place.sessions, name)
            return policy

    policy = asyncio.run(promote())
    if as_json:
        print_json({"policy": policy.label, "role": policy.stamp.role.value})
        return
    out.print(f"{markup(policy.label)} replies for the {policy.stamp.role.value} now.")


@policies_cli.command("rollback")
def roll_back(role: RoleArgument, local: Local = False, as_json: AsJson = False) -> None:
    """Undo a role's last promotion; again, to go further back."""
    from app.core.values import Role
    from app.services import policies

    async def back() -> str | None:
        async with _opened(local) as place:
            return await policies.rollback(place.sessions, Role(role))

    name = asyncio.run(back())
    if as_json:
        print_json({"policy": name, "role": role})
        return
    out.print(f"{markup(name) if name else 'The configured model'} replies for the {role} now.")


@policies_cli.command("remove")
def remove_policy(name: Name, local: Local = False, as_json: AsJson = False) -> None:
    """Forget a policy that is not promoted; its files stay."""
    from app.services import policies

    async def remove() -> None:
        async with _opened(local) as place:
            await policies.remove(place.sessions, name)

    asyncio.run(remove())
    if as_json:
        print_json({"policy": name})
        return
    out.print(f"Policy {markup(name)} is forgotten.")


@dataclass(frozen=True)
class _Place:
    """The deployment whose policies are meant."""

    settings: Settings
    sessions: Sessions
    embedded: bool
    """Whether the small model in process replies."""


@asynccontextmanager
async def _opened(local: bool) -> AsyncIterator[_Place]:
    """The database as its owner, and the settings as the service has them."""
    from app.db import migrate
    from app.db.engine import Sessions, make_engine
    from app.local.running import attached_postgres, for_small_model
    from app.settings import Settings

    async with attached_postgres(Settings(), local) as settings:
        database = settings.database
        owned = database.model_copy(update={"url": database.url if local else database.owner_url or database.url})
        if local:
            await asyncio.to_thread(migrate.upgrade, owned.url.get_secret_value())
        embedded = local and settings.llm.base_url is None
        engine = make_engine(owned)
        try:
            yield _Place(for_small_model(settings) if embedded else settings, Sessions(engine), embedded)
        finally:
            await engine.dispose()


def _read(folder: Path | None, model: str | None, stamp: Path | None, served_folder: str | None) -> Served:
    """The policy that the options name. Raises `UnfitPolicy`."""
    from app.core.policies import STAMP_FILE, Served, read_policy, read_stamp

    if model is not None and stamp is not None and folder is None and served_folder is None:
        return Served(stamp=read_stamp(stamp), model=model)
    if folder is None or model is not None or stamp is not None:
        raise UnfitPolicy(f"Give either the folder of an exported adapter, or --model and --stamp (its {STAMP_FILE}).")
    found = read_policy(folder)
    if found.form != "adapter":
        raise UnfitPolicy(
            f"{found.label} is a whole model, which no server loads while it runs: serve it, and add it by --model."
        )
    return Served(stamp=found, model=found.label, folder=served_folder or str(folder.resolve()))


async def _prepare(place: _Place, policy: Served) -> None:
    """Make sure that the policy can reply. Raises `UnfitPolicy` or a `ModelError`."""
    if not place.embedded:
        from app.main import http_completers

        completers = http_completers(place.settings.llm)
        try:
            await completers[policy.stamp.role].prepare(policy)
        finally:
            for completer in completers.values():
                await completer.aclose()
    elif policy.folder is None:
        raise UnfitPolicy(f"The model in process serves adapters from their folders alone, not {policy.label}.")
    else:
        from app.core.policies import read_policy
        from app.local.adapters import read_adapter

        await asyncio.to_thread(read_policy, Path(policy.folder))
        await asyncio.to_thread(read_adapter, Path(policy.folder))


def _shown(score: Score) -> str:
    before = f"{score.before.value:.3g} → " if score.before else ""
    return f"{score.measure} on {score.data}: {before}{score.after.value:.3g}"
