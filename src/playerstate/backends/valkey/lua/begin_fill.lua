-- Puts the token of a fill into a player's hash, unless one is there: fills at the same time share the first one's
-- token, so that none of them defeats another. That is safe: a hash that was not lost since the first of them began was
-- not lost since the others did.
--
-- KEYS[1]                  the player's hash
-- ARGV[1]                  a token that was never used
-- returns                  the token in the hash

call('HSETNX', KEYS[1], '#fill', ARGV[1])
return call('HGET', KEYS[1], '#fill')
