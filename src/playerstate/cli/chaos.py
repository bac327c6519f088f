"""`playerstate chaos`: several regions under a seed, with everything that can go wrong between them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from playerstate.cli.common import AsJson, ExitCode, leave


def chaos(
    *,
    seed: Annotated[int, typer.Option(min=0, help="The first seed. The same seed gives the same run.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, one after the other.")] = 20,
    steps: Annotated[int, typer.Option(min=0, help="How many things happen in a run before it comes to rest.")] = 1000,
    regions: Annotated[int, typer.Option(min=1, max=9, help="How many regions there are.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Simulate regions whose processes crash, whose messages repeat, and whose network parts; check the promises.

    It runs the stages of the product on parts in memory: nothing is started, and nothing is written. A run that breaks
    a promise is told with a shorter one of the same seed that does, and the exit code is 1.

    Example: playerstate chaos --seed 1 --seeds 100 --steps 1000
    """
    from playerstate.cli import console
    from playerstate.cli.logs import LogLevel, configure_logging
    from playerstate.cli.progress import progress
    from playerstate.simulation.run import run, shortest

    configure_logging(LogLevel.ERROR, as_json=as_json)
    updates, wrong = 0, []
    with progress("simulating", as_json=as_json) as (advance, _):
        for done in range(seeds):
            tried = run(seed + done, steps, regions=regions)
            updates += len(tried.history.sent)
            if tried.violations:
                wrong.append(shortest(tried, regions=regions))
            advance(done + 1, seeds, updates)
    told: list[dict[str, Any]] = [
        {"seed": run.seed, "steps": run.steps, "regions": regions, "violations": run.violations} for run in wrong
    ]
    if as_json:
        console.document({"seeds": seeds, "steps": steps, "regions": regions, "updates": updates, "wrong": told})
    else:
        for one in told:
            console.say(f"playerstate chaos --seed {one['seed']} --seeds 1 --steps {one['steps']} --regions {regions}")
            for violation in one["violations"]:
                console.say(f"  {violation}")
        ran = f"{seeds:,} runs of {steps:,} steps in {regions} regions, {updates:,} updates acknowledged"
        console.say(f"{ran}: {len(told):,} broke a promise")
    if wrong:
        leave(ExitCode.REFUSED)
