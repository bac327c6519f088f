-- Replaces or deletes a view, if the cache still holds exactly the version that was found to be wrong.
-- A player of whom a view was deleted is not complete any more, nor made so by a fill that began before.
--
-- KEYS[1]                  the player's hash
-- ARGV[1]                  the state key
-- ARGV[2]                  the version that must be there, '' for none
-- ARGV[3], ARGV[4]         version and value to write; without them the view is deleted
-- returns                  1 if it was done, 0 if the cache holds another version

local player, state_key = KEYS[1], ARGV[1]
if (call('HGET', player, state_key .. '#v') or '') ~= ARGV[2] then
  return 0
end
if ARGV[3] then
  write(player, state_key, ARGV[3], ARGV[4])
else
  call('HDEL', player, state_key, state_key .. '#v', '#complete', '#fill')
end
return 1
