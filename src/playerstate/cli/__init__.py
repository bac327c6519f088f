"""The command line: one file a command or small family of commands.

A command's own module imports Typer and the standard library only, so that `--help` and a mistyped option answer at
once; what the command needs to run, it imports when it runs.
"""
