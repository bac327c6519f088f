"""Runs of whole regions on the emulator, under faults, by seed; what must hold of them the simulator's checkers say.

Real here: accept, the functions as `playerstate.lambdas` wires them, Kinesis, DynamoDB and its streams, SNS, SQS, and a
Valkey server a region. In memory: graph, audit, dead letters, findings, whose services the emulator does not have.
"""
