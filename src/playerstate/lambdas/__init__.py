"""The handlers of AWS Lambda: one module a function, which imports what that function uses and nothing else.

    apply     Kinesis                 updates -> rows
    project   the table's stream      changes -> cache, topic, the resolver's queue, rechecks
    link      SQS                     notices -> edges
    audit     SQS                     notices -> transitions
    resolve   SQS                     keys -> rows
    recheck   SQS                     lookups -> cache, findings
    verify    Step Functions          one check of a run
    failed    SQS, of S3              what a stream has given up -> dead letters, another try

Each is called as `playerstate.lambdas.NAME.handler`. Settings: `playerstate.aws.settings`.
"""
