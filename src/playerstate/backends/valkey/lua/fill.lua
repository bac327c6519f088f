-- Offers all views that a player has, as put.lua does. The hash is complete from then on, if it was not lost since the
-- fill began: a lost hash has lost its token, and what was written to it since is not all that there is.
--
-- KEYS[1]                  the player's hash
-- ARGV[1]                  the token that begin_fill.lua gave; it goes when the hash is complete
-- ARGV[3i-1 .. 3i+1]       the i-th view's state key, version, value
-- returns                  1 if the hash was completed, 0 if the token is gone: another fill was faster, or it is lost

local player = KEYS[1]
for at = 2, #ARGV, 3 do
  offer(player, ARGV[at], ARGV[at + 1], ARGV[at + 2])
end
if call('HGET', player, '#fill') ~= ARGV[1] then
  return 0
end
call('HSET', player, '#complete', '1')
call('HDEL', player, '#fill')
return 1
