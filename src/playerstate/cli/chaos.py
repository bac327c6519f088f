"""`playerstate chaos`: several regions under a seed, with everything that can go wrong between them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from playerstate.cli.common import AsJson, ExitCode, leave


def chaos(
    *,
    seed: Annotated[int, typer.Option(min=0, help="The first seed. The same seed gives the same run.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, one after the other.")] = 20,
    steps: Annotated[int, typer.Option(min=0, help="How many things happen in a run before it comes to rest.")] = 1000,
    regions: Annotated[int, typer.Option(min=1, max=9, help="How many regions there are.")] = 3,
    real: Annotated[
        bool, typer.Option("--real", help="Rounds of faults on real processes, files and caches instead.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="With --real: how many rounds.")] = 10,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", file_okay=False, help="With --real: an empty folder to use, which is kept."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate regions whose processes crash, whose messages repeat, and whose network parts; check the promises.

    It runs the stages of the product on parts in memory: nothing is started, and nothing is written. A run that breaks
    a promise is told with a shorter one of the same seed that does, and the exit code is 1.

    With --real it starts regions in processes of their own, in a temporary folder, and breaks them under traffic: kill
    -9, a full disk, partitions, clocks that are wrong. After every round it reconciles what the regions hold with what
    clients had acknowledged. The seed draws faults and traffic; how they meet is the machine's.

    Example: playerstate chaos --seed 1 --seeds 100 --steps 1000
    """
    from playerstate.cli.logs import LogLevel, configure_logging

    configure_logging(LogLevel.ERROR, as_json=as_json)
    if real:
        from playerstate.cli import trying
        from playerstate.trials.report import TrialOptions

        leave(trying.run(data, TrialOptions(rounds, seed, regions), as_json=as_json))
    leave(_simulate(seed, seeds, steps, regions, as_json=as_json))


def _simulate(seed: int, seeds: int, steps: int, regions: int, *, as_json: bool) -> ExitCode:
    from playerstate.cli import console
    from playerstate.cli.progress import progress
    from playerstate.simulation.run import run, shortest

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
    return ExitCode.REFUSED if wrong else ExitCode.DONE
