-- Tells at which versions keys are held. One whose version or value stands alone counts as unwritten.
--
-- KEYS[i]                  the hash of the i-th key's player; the same one may come many times
-- ARGV[i]                  the i-th state key
-- returns                  for each key its version; '' if the player is complete without it; nil for a miss

local versions = {}
for i = 1, #KEYS do
  local found = call('HMGET', KEYS[i], ARGV[i] .. '#v', '#complete')
  if found[1] and call('HEXISTS', KEYS[i], ARGV[i]) == 1 then
    versions[i] = found[1]
  elseif found[1] or found[2] then
    versions[i] = ''
  else
    versions[i] = false
  end
end
return versions
