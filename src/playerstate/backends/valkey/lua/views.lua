-- The head of the other scripts: how a view is compared with what is stored, and how it is written.
--
-- A player is one hash, `player:{<id>}`, with the fields
--   <state_key>      the value, plain JSON
--   <state_key>#v    the version, such as `eu-west-1:4,us-east-1:12`
--   #complete        there if the hash holds every key that the player has
--   #fill            the token of a fill under way
-- Values and versions stay the strings that came: Lua's numbers end at 2^53, and cjson spoils empty lists.
--
-- Watchers listen on the shard channel that is named as the hash. A message is `<state_key>#<version>#<value>`:
-- neither a state key nor a version has a `#`, so the first two part it.

local call, find, sub, gmatch = redis.call, string.find, string.sub, string.gmatch

-- Whether one count, as digits without leading zeros, is at least another.
local function reaches(a, b)
  return #a > #b or (#a == #b and a >= b)
end

local function counts_of(version)
  local counts = {}
  for region, n in gmatch(version, '([^:,]+):(%d+)') do
    counts[region] = n
  end
  return counts
end

local function covers(a, b)
  for region, n in pairs(b) do
    if not a[region] or not reaches(a[region], n) then
      return false
    end
  end
  return true
end

-- 'w' if the offered version is to be written over the stored one, 's' if it is stale, 'c' if they are concurrent.
local function judge(offered, stored)
  if not stored then
    return 'w'
  end
  if offered == stored then
    return 's'
  end
  local colon = find(offered, ':', 1, true)
  -- Most keys are written by one region alone: their versions differ in the digits only.
  if colon and not find(offered, ',', colon, true) and not find(stored, ',', colon, true)
      and sub(offered, 1, colon) == sub(stored, 1, colon) then
    return reaches(sub(offered, colon + 1), sub(stored, colon + 1)) and 'w' or 's'
  end
  local new, old = counts_of(offered), counts_of(stored)
  if covers(new, old) then
    return 'w'
  end
  return covers(old, new) and 's' or 'c'
end

local function write(player, state_key, version, value)
  call('HSET', player, state_key, value, state_key .. '#v', version)
  call('SPUBLISH', player, state_key .. '#' .. version .. '#' .. value)
end

local function offer(player, state_key, version, value)
  local answer = judge(version, call('HGET', player, state_key .. '#v'))
  if answer == 'w' then
    write(player, state_key, version, value)
  end
  return answer
end
